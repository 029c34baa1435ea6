//! What a cleaner takes out of a log is told from what was lost.

use super::*;

/// A leader and a follower hold four committed batches; `at_3` is what the follower has at offset 3.
fn agreeing(at_3: u32) -> Story {
    let mut s = Story::new();
    for (node, last) in [(1, 103), (2, at_3)] {
        s.load(node, &[]);
        for (base, crc) in [(0, 100), (1, 101), (2, 102), (3, last)] {
            s.append(node, mark(base, 1, crc));
        }
    }
    s.elect(10, 1, 1, &[1]).lead(1, 1, 0).expose(1, 1, 4);
    s
}

/// As [`agreeing`]; then the leader compacts its log below 2.
fn compacted(at_3: u32) -> Story {
    let mut s = agreeing(at_3);
    let batches = vec![BatchMark { base: Offset(1), ..mark(1, 1, 900) }];
    s.tell(1, Event::LogCompacted { tp: tp(), base: Offset(0), next: Offset(2), batches });
    let (epoch, high_watermark, log_end) = (LeaderEpoch(1), Offset(4), Offset(4));
    s.tell(2, Event::HighWatermark { tp: tp(), epoch, leading: false, high_watermark, log_end });
    s
}

#[test]
fn lm_excuses_what_is_compacted_and_nothing_above() {
    compacted(103).accepts();
    compacted(999).violates("LM");
}

/// The follower dies while its cleaner puts segments in place below 2, is found without offset `missing`, and joins the ISR.
fn found_without(missing: i64) -> Story {
    let mut s = agreeing(103);
    s.tell(2, Event::LogSwapping { tp: tp(), next: Offset(2) });
    s.court.node_down(BrokerId(2), false);
    let held: Vec<_> = (0..4).filter(|at| *at != missing).map(|at| mark(at, 1, 100 + at as u32)).collect();
    s.load(2, &held).elect(20, 1, 1, &[1, 2]);
    s
}

#[test]
fn lcc_excuses_what_a_swap_that_was_under_way_has_taken_and_nothing_above() {
    found_without(1).accepts();
    found_without(2).violates("LCC");
}

#[test]
fn what_retention_took_while_a_swap_was_under_way_is_in_no_log() {
    let mut s = agreeing(103);
    s.tell(1, Event::LogStart { tp: tp(), start: Offset(4) });
    let batches = vec![mark(1, 1, 101)];
    s.tell(1, Event::LogCompacted { tp: tp(), base: Offset(0), next: Offset(2), batches });
    let leader = &s.court.ground().partition(&tp()).expect("it is known").replicas[&BrokerId(1)];
    assert_eq!((leader.batches.len(), leader.end()), (0, Offset(4)));
}
