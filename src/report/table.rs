//! Several scenarios side by side: what each lost, and how long it could not be written to.

use std::fmt::Write;

use super::Verdict;
use super::text::{COLUMNS, count, word};

/// The widest name that is shown whole.
const NAME: usize = 34;

/// One line for each verdict under a heading; text that ends with a newline.
#[must_use]
pub fn render(verdicts: &[Verdict]) -> String {
    let width = verdicts.iter().map(|v| v.scenario.chars().count().min(NAME)).max().unwrap_or(0).max(8);
    let mut out = format!(
        "{:<width$}  {:<8} {:>7} {:>6} {:>9} {:>6} {:>8}  reasons\n",
        "scenario", "outcome", "acked", "lost", "permitted", "twice", "least %"
    );
    for v in verdicts {
        let name: String = v.scenario.chars().take(NAME).collect();
        let least = v.availability.values().copied().fold(100.0, f64::min);
        let mut reasons: Vec<&str> = v.permitted_losses.iter().map(|loss| loss.reason.as_str()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let line = format!(
            "{name:<width$}  {:<8} {:>7} {:>6} {:>9} {:>6} {:>8.2}  {}",
            word(v.outcome),
            count(v.acked),
            count(v.lost),
            count(v.permitted_loss),
            count(v.duplicated),
            (least * 100.0).floor() / 100.0,
            reasons.join(", ")
        );
        let line: String = line.trim_end().chars().take(COLUMNS).collect();
        let _ = writeln!(out, "{line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::PermittedLoss;

    #[test]
    fn losses_stand_beside_each_other_within_a_hundred_columns() {
        let mut a = Verdict::new("acks-1", 1);
        (a.acked, a.permitted_loss) = (12_345, 67);
        a.availability.insert("t-0".into(), 91.259);
        let loss = PermittedLoss {
            partition: "t-0".into(),
            reason: "acks-1".into(),
            detail: String::new(),
            records: 67,
            from_offset: Some(1),
            to_offset: Some(67),
        };
        a.permitted_losses = vec![loss.clone(), loss];
        let b = Verdict::new(&"x".repeat(80), 1);
        let text = render(&[a, b]);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        let first = text.lines().nth(1).expect("a line for the first");
        let words: Vec<_> = first.split_whitespace().collect();
        assert_eq!(words, ["acks-1", "PASS", "12,345", "0", "67", "0", "91.25", "acks-1"]);
    }
}
