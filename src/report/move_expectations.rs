//! Holds the moves of partitions against what their scenario expects of them.

use super::expectations::{expectation, timed};
use super::verdict::{Expectation, MoveRecord};
use crate::scenario::model::ExpectedMove;

/// Every expectation of every partition that is named.
pub(super) fn judge(wanted: &[ExpectedMove], found: &[MoveRecord]) -> Vec<Expectation> {
    let mut named: Vec<String> = Vec::new();
    let mut out = Vec::new();
    for name in wanted.iter().map(|wanted| wanted.partition.to_string()) {
        if !named.contains(&name) {
            out.extend(of_partition(&name, wanted, found));
            named.push(name);
        }
    }
    out
}

fn of_partition(name: &str, wanted: &[ExpectedMove], found: &[MoveRecord]) -> Vec<Expectation> {
    let wanted: Vec<_> = wanted.iter().filter(|wanted| wanted.partition.to_string() == name).collect();
    let found: Vec<_> = found.iter().filter(|found| found.partition == name).collect();
    let (n, m) = (times(wanted.len()), times(found.len()));
    let mut out = Vec::new();
    if n != m {
        out.push(expectation(format!("{name} is moved {n}"), false, m));
    }
    for (i, wanted) in wanted.iter().enumerate() {
        out.extend(one(name, wanted, found.get(i).copied()));
    }
    out
}

fn times(n: usize) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

fn one(name: &str, wanted: &ExpectedMove, found: Option<&MoveRecord>) -> Vec<Expectation> {
    let counted = |text: String, met: bool, count: Option<u64>| {
        expectation(text, met, count.map_or("no such move".to_owned(), |n| n.to_string()))
    };
    let bytes = found.map(MoveRecord::bytes);
    let text = format!("bytes of {name} copied by its new replicas: {}", wanted.bytes);
    let mut out = vec![counted(text, bytes.is_some_and(|n| wanted.bytes.holds(&n)), bytes)];
    if let Some(bound) = &wanted.took {
        out.push(timed(format!("the move of {name} takes"), bound, found.and_then(MoveRecord::took_ms)));
    }
    if let Some(bound) = &wanted.rate {
        let rate = found.and_then(MoveRecord::rate);
        let text = format!("bytes of {name} copied in a second: {bound}");
        out.push(counted(text, rate.is_some_and(|n| bound.holds(&n)), rate));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TopicPartition;
    use crate::scenario::units::{Between, Millis};

    fn wanted(partition: i32) -> ExpectedMove {
        ExpectedMove {
            partition: TopicPartition::new("T", partition),
            bytes: Between(1_000, 2_000),
            took: Some(Between(Millis(4_000), Millis(6_000))),
            rate: Some(Between(200, 400)),
        }
    }

    fn found(partition: &str) -> MoveRecord {
        MoveRecord {
            partition: partition.to_owned(),
            from_ms: 20_000,
            to_ms: Some(25_000),
            cancelled: false,
            copied: [(4, 1_000), (5, 500)].into(),
        }
    }

    fn unmet(wanted: &[ExpectedMove], found: &[MoveRecord]) -> Vec<String> {
        let all = judge(wanted, found);
        all.iter().filter(|e| !e.met).map(|e| format!("{}: {}", e.text, e.measured)).collect()
    }

    #[test]
    fn moves_as_expected_are_met_in_their_order() {
        let second = ExpectedMove { bytes: Between(3_000, 3_000), took: None, rate: None, ..wanted(0) };
        let larger = MoveRecord { copied: [(2, 3_000)].into(), ..found("T-0") };
        assert_eq!(unmet(&[wanted(0), wanted(1), second], &[found("T-0"), found("T-1"), larger]), [""; 0]);
        assert_eq!(unmet(&[], &[found("T-0")]), [""; 0], "nothing is expected of what is not named");
    }

    #[test]
    fn what_is_not_met_says_what_was_measured() {
        let quick = MoveRecord { to_ms: Some(20_500), ..found("T-0") };
        assert_eq!(
            unmet(&[wanted(0)], &[quick]),
            ["the move of T-0 takes 4s to 6s: 500ms", "bytes of T-0 copied in a second: 200 to 400: 3000"]
        );
        let little = MoveRecord { copied: [(4, 999)].into(), ..found("T-0") };
        assert_eq!(
            unmet(&[wanted(0)], &[little]),
            [
                "bytes of T-0 copied by its new replicas: 1000 to 2000: 999",
                "bytes of T-0 copied in a second: 200 to 400: 199"
            ]
        );
        let again = unmet(&[wanted(0)], &[found("T-0"), found("T-0")]);
        assert_eq!(again, ["T-0 is moved once: 2 times"]);
        let never = unmet(&[wanted(0)], &[]);
        assert_eq!(
            never,
            [
                "T-0 is moved once: 0 times",
                "bytes of T-0 copied by its new replicas: 1000 to 2000: no such move",
                "the move of T-0 takes 4s to 6s: never",
                "bytes of T-0 copied in a second: 200 to 400: no such move"
            ]
        );
    }

    #[test]
    fn a_move_that_goes_on_or_was_called_off_took_no_time() {
        let goes_on = MoveRecord { to_ms: None, ..found("T-0") };
        let off = MoveRecord { cancelled: true, ..found("T-0") };
        for found in [goes_on, off] {
            assert_eq!(unmet(&[wanted(0)], &[found]).len(), 2);
        }
    }
}
