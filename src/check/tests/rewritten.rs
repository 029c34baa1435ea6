//! What a producer writes once more because what came before it was taken out of the log is told from a duplicate.

use super::*;

/// The audit of a log that begins at `start` and has these values of one writer.
fn audited(start: i64, seqs: &[u64]) -> Story {
    let mut s = Story::healthy();
    s.tell(1, Event::LogStart { tp: tp(), start: Offset(start) });
    for seq in seqs {
        s.client(sent(*seq));
    }
    let records: Vec<_> = (start..).zip(seqs).map(|(offset, seq)| (offset, Some(value(*seq)))).collect();
    s.audit_from(start, &records, start + seqs.len() as i64);
    s
}

#[test]
fn what_followed_a_value_that_retention_took_may_be_written_once_more_behind_it() {
    let mut s = audited(2, &[5, 6, 4, 5, 6, 7]);
    s.accepts();
    assert_eq!(s.court.findings().duplicated, 2);
}

#[test]
fn a_log_that_has_its_beginning_excuses_nothing() {
    assert_eq!(audited(0, &[5, 6, 4, 5, 6, 7]).names(), ["DENSE", "ORDER"]);
}

#[test]
fn a_gap_behind_an_earlier_value_of_the_writer_is_no_work_of_retention() {
    assert_eq!(audited(2, &[3, 5, 6, 4, 5, 6]).names(), ["DENSE", "ORDER"]);
}

#[test]
fn a_cleaner_may_have_taken_it_from_between_its_neighbours() {
    let compacted = |offsets: &[i64], seqs: &[u64]| {
        let mut s = Story::healthy();
        s.tell(1, Event::LogSwapping { tp: tp(), next: Offset(6) });
        for seq in seqs {
            s.client(sent(*seq));
        }
        let records: Vec<_> = offsets.iter().zip(seqs).map(|(offset, seq)| (*offset, Some(value(*seq)))).collect();
        s.audit(&records, offsets.last().map_or(0, |last| last + 1));
        s
    };
    compacted(&[1, 6, 7, 8, 9], &[1, 5, 4, 5, 6]).accepts();
    // Offset 0 is gone, but 4 must have stood between 1 and 5.
    assert_eq!(compacted(&[1, 2, 3, 4, 5], &[1, 5, 4, 5, 6]).names(), ["DENSE", "ORDER"]);
    // It still stands there.
    assert_eq!(compacted(&[1, 3, 6, 7, 8], &[1, 4, 5, 4, 5]).names(), ["DENSE", "ORDER"]);
}

#[test]
fn once_more_is_not_twice_more() {
    assert_eq!(audited(2, &[5, 4, 5, 5]).names(), ["DENSE"]);
    assert_eq!(audited(2, &[5, 4, 5, 4]).names(), ["DENSE", "ORDER"]);
}

#[test]
fn a_mere_retry_at_the_log_start_is_a_duplicate() {
    assert_eq!(audited(2, &[5, 6, 5, 6]).names(), ["DENSE", "ORDER"]);
}
