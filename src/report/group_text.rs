//! Consumer groups in a verdict as a person reads it.

use super::group_expectations::{count, listed};
use super::text::{Page, count as thousands, seconds};
use super::verdict::{GroupRecord, SpanRecord, Verdict};

/// One paragraph for each group.
pub(super) fn groups(out: &mut Page, verdict: &Verdict) {
    for group in &verdict.groups {
        let lead = format!("  group {}  ", group.id);
        out.hang(&lead, &records(group));
        let indent = " ".repeat(lead.chars().count());
        if !group.rebalances.is_empty() {
            out.hang(&indent, &rebalances(group));
        }
        if group.throughput.len() > 1 {
            let each: Vec<_> = group.throughput.iter().map(|n| thousands(*n)).collect();
            out.hang(&indent, &format!("processed in each 10 s: {}", each.join(" ")));
        }
        if let Some((at_ms, lag)) = group.lag.iter().max_by_key(|(at, lag)| (*lag, u64::MAX - at)) {
            let last = group.lag.last().map_or(0, |(_, lag)| *lag);
            let (most, at) = (thousands(*lag), seconds(*at_ms));
            out.hang(&indent, &format!("behind by {most} at most (at {at}), by {} at last", thousands(last)));
        }
        for letter in &group.dead_letters {
            let text = format!(
                "dead letter {} {}: error {:?}, original_topic {}, original_offset {}",
                letter.partition, letter.offset, letter.error, letter.original_topic, letter.original_offset
            );
            out.hang(&indent, &text);
        }
    }
}

fn records(group: &GroupRecord) -> String {
    let mut parts = vec![format!("{} processed", thousands(group.processed))];
    let lists = [("skipped", &group.skipped), ("repeated", &group.repeated), ("passed over", &group.passed_over)];
    for (name, spans) in lists {
        parts.push(match spans.is_empty() {
            true => format!("0 {name}"),
            false => format!("{} {name} ({})", thousands(count(spans)), brief(spans)),
        });
    }
    let counts = [
        ("effects", group.effects),
        ("repetitions without effect", group.suppressed),
        ("deaths of a record", group.crashes),
        ("expulsions", group.expelled),
    ];
    parts.extend(counts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{} {name}", thousands(*n))));
    parts.join(", ")
}

/// The first few spans; a storm repeats thousands.
fn brief(spans: &[SpanRecord]) -> String {
    const SHOWN: usize = 6;
    match spans.len() {
        0..=SHOWN => listed(spans),
        n => format!("{} and {} more", listed(&spans[..SHOWN]), n - SHOWN),
    }
}

/// How many there were, and what the worst of them cost each member.
fn rebalances(group: &GroupRecord) -> String {
    let cost = |stopped: &std::collections::BTreeMap<String, u64>| stopped.values().sum::<u64>();
    let n = group.rebalances.len();
    let rebalances = if n == 1 { "1 rebalance".to_owned() } else { format!("{n} rebalances") };
    let Some(worst) = group.rebalances.iter().max_by_key(|r| cost(&r.stopped_ms)) else { return rebalances };
    let stops: Vec<_> =
        worst.stopped_ms.iter().filter(|(_, ms)| **ms > 0).map(|(m, ms)| format!("{m} {}", seconds(*ms))).collect();
    let unowned = group.rebalances.iter().flat_map(|r| r.unowned_ms.values()).max();
    let rebalances = match unowned {
        Some(ms) => format!("{rebalances}, a partition without owner for {} at most", seconds(*ms)),
        None => rebalances,
    };
    match stops.is_empty() {
        true => format!("{rebalances}; none of them stopped a member"),
        false => format!(
            "{rebalances}; the worst, generation {} at {}, stopped {}",
            worst.generation,
            seconds(worst.at_ms),
            stops.join(", ")
        ),
    }
}
