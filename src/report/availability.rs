//! Availability as clients saw it: when a partition took writes, when it did not, and what each outage was spent on.
//!
//! # What an outage is
//! Acknowledgements of a partition are compared in the order of time. Where two neighbours (or the start of the first
//! write and the first acknowledgement, or the last acknowledgement and the end of the chaos phase) lie further apart
//! than the [`threshold`], and a write was waiting in between, the partition was unavailable: from the earlier
//! acknowledgement, or from the moment when the first write that had to wait was handed over if that is later, to the
//! next acknowledgement. A gap in which nobody wanted to write is no outage.
//!
//! # Its phases
//! **Undetected**, until the cluster noticed; **election**, until committed metadata gave the partition a leader and
//! an ISR that can commit; **clients**, until the first acknowledgement. The phases add up to the outage. What has
//! happened before the outage starts counts as no time at all.
//!
//! Availability is the share of the chaos phase, from its start to its end, that lies in no outage.

use super::verdict::OutageRecord;
use crate::base::TopicPartition;

/// No gap up to this long is an outage, in milliseconds.
pub const MIN_GAP_MS: u64 = 1_000;

/// One write to a partition, in simulated milliseconds from the start of the chaos phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSample {
    /// When the client handed it to its producer.
    pub sent_ms: u64,
    /// How it ended.
    pub end: WriteEnd,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteEnd {
    /// Acknowledged at this moment.
    Acked(u64),
    /// Refused, or given up, at this moment.
    Failed(u64),
    /// Still under way when the trial ended.
    Open,
}

/// What happened to the cluster at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// In simulated milliseconds from the start of the chaos phase.
    pub at_ms: u64,
    /// What.
    pub what: MilestoneKind,
}

/// The milestones that divide an outage into phases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MilestoneKind {
    /// A fault struck; in words, like `broker 2 loses power`. Repairs (start, resume, heal) are none.
    Fault(String),
    /// The cluster noticed: committed metadata fenced a broker or shrank an ISR, or another controller became active.
    Noticed,
    /// Committed metadata gave this partition a leader and an ISR that can commit.
    Settled(TopicPartition),
    /// A client of this partition stopped waiting because this setting, like `request.timeout.ms`, ran out.
    GaveUp(TopicPartition, String),
}

/// What the clients of one partition saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Share of the chaos phase outside of outages.
    pub percent: f64,
    /// The outages, in the order of time.
    pub outages: Vec<OutageRecord>,
}

/// The longest wait that is still service, in milliseconds: [`MIN_GAP_MS`], or four times what a fast write takes if that
/// is more, so that long links are no outage. A fast write is the tenth percentile, which outages hardly touch.
#[must_use]
pub fn threshold(writes: &[WriteSample]) -> u64 {
    let mut latencies: Vec<u64> = writes.iter().filter_map(|w| Some(acked(w)?.saturating_sub(w.sent_ms))).collect();
    latencies.sort_unstable();
    let fast = latencies.get(latencies.len() / 10).copied().unwrap_or(0);
    MIN_GAP_MS.max(4 * fast)
}

/// What the clients of `tp` saw in a chaos phase of `end_ms`; `None` if nobody wrote to it.
///
/// Writes and milestones may come in any order.
#[must_use]
pub fn measure(tp: &TopicPartition, writes: &[WriteSample], milestones: &[Milestone], end_ms: u64) -> Option<Seen> {
    let writes: Vec<WriteSample> = writes.iter().copied().filter(|w| w.sent_ms < end_ms).collect();
    let first = writes.iter().map(|w| w.sent_ms).min()?;
    let threshold = threshold(&writes);
    let mut acks: Vec<u64> = writes.iter().filter_map(acked).filter(|at| *at < end_ms).collect();
    acks.sort_unstable();
    let starts = std::iter::once(first).chain(acks.iter().copied());
    let ends = acks.iter().copied().map(Some).chain(std::iter::once(None));
    let mut seen = Seen { percent: 100.0, outages: Vec::new() };
    let mut out_ms = 0;
    for (start, end) in starts.zip(ends) {
        let until = end.unwrap_or(end_ms);
        if until.saturating_sub(start) <= threshold {
            continue;
        }
        let waiting = writes.iter().filter(|w| w.sent_ms < until && ended(w).is_none_or(|at| at > start));
        let Some(waited) = waiting.map(|w| w.sent_ms).min() else { continue };
        let from = start.max(waited);
        if until - from > threshold {
            out_ms += until - from;
            seen.outages.push(Outage { from, to: end, until, threshold }.record(tp, milestones));
        }
    }
    seen.percent = 100.0 * (end_ms - out_ms) as f64 / end_ms as f64;
    Some(seen)
}

fn acked(write: &WriteSample) -> Option<u64> {
    match write.end {
        WriteEnd::Acked(at) => Some(at),
        WriteEnd::Failed(_) | WriteEnd::Open => None,
    }
}

fn ended(write: &WriteSample) -> Option<u64> {
    match write.end {
        WriteEnd::Acked(at) | WriteEnd::Failed(at) => Some(at),
        WriteEnd::Open => None,
    }
}

/// A gap that is an outage.
struct Outage {
    from: u64,
    /// When service was back, if it was.
    to: Option<u64>,
    /// The same, or the end of the chaos phase.
    until: u64,
    threshold: u64,
}

impl Outage {
    fn record(&self, tp: &TopicPartition, milestones: &[Milestone]) -> OutageRecord {
        let (cause_ms, cause) = self.cause(milestones).unwrap_or((self.from, String::new()));
        let first = |after: u64, wanted: &dyn Fn(&MilestoneKind) -> bool| {
            let inside = milestones.iter().filter(|m| after <= m.at_ms && m.at_ms <= self.until && wanted(&m.what));
            inside.map(|m| m.at_ms).min()
        };
        let noticed = first(cause_ms, &|what| *what == MilestoneKind::Noticed);
        let settled = noticed.and_then(|at| first(at, &|what| matches!(what, MilestoneKind::Settled(p) if p == tp)));
        // A cause or a detection before service stopped cost no time.
        let (noticed, settled) = (noticed.map(|at| at.max(self.from)), settled.map(|at| at.max(self.from)));
        let known = settled.or(noticed);
        OutageRecord {
            partition: tp.to_string(),
            from_ms: self.from,
            to_ms: self.to,
            cause,
            detect_ms: noticed.map(|at| at - self.from),
            elect_ms: noticed.zip(settled).map(|(noticed, settled)| settled - noticed),
            recover_ms: known.zip(self.to).map(|(known, to)| to - known),
            waited_for: known.and_then(|known| self.waited_for(tp, milestones, known)),
        }
    }

    /// The first fault around the start of the outage, else the last one before it.
    fn cause(&self, milestones: &[Milestone]) -> Option<(u64, String)> {
        let mut faults: Vec<(u64, &String)> = milestones
            .iter()
            .filter_map(|m| match &m.what {
                MilestoneKind::Fault(text) => Some((m.at_ms, text)),
                _ => None,
            })
            .collect();
        faults.sort();
        let around = self.from.saturating_sub(self.threshold)..=self.from + self.threshold;
        let near = faults.iter().find(|(at, _)| around.contains(at));
        let before = faults.iter().rev().find(|(at, _)| *at <= self.from);
        near.or(before).map(|(at, text)| (*at, (*text).clone()))
    }

    fn waited_for(&self, tp: &TopicPartition, milestones: &[Milestone], after: u64) -> Option<String> {
        let given_up = milestones.iter().filter(|m| after <= m.at_ms && m.at_ms <= self.until);
        given_up
            .filter_map(|m| match &m.what {
                MilestoneKind::GaveUp(p, setting) if p == tp => Some((m.at_ms, setting.clone())),
                _ => None,
            })
            .max()
            .map(|(_, setting)| setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp() -> TopicPartition {
        TopicPartition::new("UserEvents", 1)
    }

    /// A write every 20 ms, acknowledged after 5 ms, except that what is acknowledged inside a gap waits for its end.
    fn steady(end_ms: u64, gaps: &[(u64, u64)]) -> Vec<WriteSample> {
        let acked = |sent: u64| {
            let held = gaps.iter().find(|(from, to)| (*from..*to).contains(&(sent + 5)));
            held.map_or(sent + 5, |(_, to)| *to)
        };
        let sent = (0..end_ms).step_by(20);
        sent.map(|sent_ms| WriteSample { sent_ms, end: WriteEnd::Acked(acked(sent_ms)) }).collect()
    }

    fn at(at_ms: u64, what: MilestoneKind) -> Milestone {
        Milestone { at_ms, what }
    }

    fn worker_dies() -> Vec<Milestone> {
        vec![
            at(10_000, MilestoneKind::Fault("broker 2 loses power".into())),
            at(18_300, MilestoneKind::Noticed),
            at(18_300, MilestoneKind::Settled(TopicPartition::new("UserEvents", 0))),
            at(18_320, MilestoneKind::Settled(tp())),
            at(40_100, MilestoneKind::GaveUp(tp(), "request.timeout.ms".into())),
        ]
    }

    #[test]
    fn a_partition_that_always_acknowledges_is_wholly_available() {
        let seen = measure(&tp(), &steady(60_000, &[]), &[], 60_000).unwrap();
        assert_eq!(seen, Seen { percent: 100.0, outages: vec![] });
    }

    #[test]
    fn nobody_writes_and_nothing_can_be_said() {
        assert_eq!(measure(&tp(), &[], &worker_dies(), 60_000), None);
    }

    #[test]
    fn an_outage_is_split_where_the_cluster_noticed_and_where_it_could_commit_again() {
        let seen = measure(&tp(), &steady(120_000, &[(10_000, 40_400)]), &worker_dies(), 120_000).unwrap();
        let [outage] = &seen.outages[..] else { panic!("{seen:?}") };
        // The last acknowledgement before came at 9,985; the first write that had to wait was sent at 10,000.
        assert_eq!((outage.from_ms, outage.to_ms), (10_000, Some(40_400)));
        assert_eq!((outage.detect_ms, outage.elect_ms, outage.recover_ms), (Some(8_300), Some(20), Some(22_080)));
        assert_eq!(outage.cause, "broker 2 loses power");
        assert_eq!(outage.waited_for.as_deref(), Some("request.timeout.ms"));
        assert!((seen.percent - 100.0 * 89_600.0 / 120_000.0).abs() < 1e-9, "{}", seen.percent);
    }

    #[test]
    fn a_hiccup_below_the_threshold_is_no_outage() {
        let just = measure(&tp(), &steady(60_000, &[(10_000, 11_000)]), &[], 60_000).unwrap();
        assert_eq!(just.outages, []);
        let over = measure(&tp(), &steady(60_000, &[(10_000, 11_002)]), &[], 60_000).unwrap();
        assert_eq!(over.outages.len(), 1);
    }

    #[test]
    fn a_gap_in_which_nobody_wanted_to_write_is_no_outage() {
        let mut writes = steady(60_000, &[]);
        writes.retain(|w| !(20_000..40_000).contains(&w.sent_ms));
        assert_eq!(measure(&tp(), &writes, &[], 60_000).unwrap().outages, []);
    }

    #[test]
    fn refused_writes_are_demand_that_was_not_served() {
        let mut writes = steady(60_000, &[]);
        for write in writes.iter_mut().filter(|w| (20_000..40_000).contains(&w.sent_ms)) {
            write.end = WriteEnd::Failed(write.sent_ms + 1);
        }
        let seen = measure(&tp(), &writes, &[], 60_000).unwrap();
        assert_eq!((seen.outages[0].from_ms, seen.outages[0].to_ms), (20_000, Some(40_005)));
    }

    #[test]
    fn an_outage_that_nobody_noticed_has_no_phases_and_no_cause() {
        let seen = measure(&tp(), &steady(60_000, &[(10_000, 15_000)]), &[], 60_000).unwrap();
        let outage = &seen.outages[0];
        assert_eq!((outage.detect_ms, outage.elect_ms, outage.recover_ms), (None, None, None));
        assert_eq!(outage.cause, "");
    }

    #[test]
    fn an_outage_that_lasts_to_the_end_is_never_recovered() {
        let seen = measure(&tp(), &steady(30_000, &[(10_000, 99_000)]), &worker_dies(), 30_000).unwrap();
        let outage = &seen.outages[0];
        assert_eq!((outage.to_ms, outage.detect_ms, outage.recover_ms), (None, Some(8_300), None));
        assert!((seen.percent - 100.0 / 3.0).abs() < 0.01, "{}", seen.percent);
    }

    #[test]
    fn a_partition_that_never_acknowledged_was_out_from_its_first_write() {
        let writes = [WriteSample { sent_ms: 500, end: WriteEnd::Open }];
        let seen = measure(&tp(), &writes, &[], 10_000).unwrap();
        assert_eq!((seen.outages[0].from_ms, seen.outages[0].to_ms), (500, None));
        assert!((seen.percent - 5.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_noticed_before_service_stopped_costs_no_time() {
        let milestones = [at(5_000, MilestoneKind::Fault("cut".into())), at(9_000, MilestoneKind::Noticed)];
        let seen = measure(&tp(), &steady(60_000, &[(10_000, 15_000)]), &milestones, 60_000).unwrap();
        let outage = &seen.outages[0];
        assert_eq!((outage.cause.as_str(), outage.detect_ms, outage.recover_ms), ("cut", Some(0), Some(5_000)));
    }

    #[test]
    fn long_links_raise_the_threshold_and_slow_writers_need_no_other() {
        let every_3_s = |latency: u64| -> Vec<WriteSample> {
            let sent = (0..10).map(|i| i * 3_000);
            sent.map(|sent_ms| WriteSample { sent_ms, end: WriteEnd::Acked(sent_ms + latency) }).collect()
        };
        assert_eq!((threshold(&every_3_s(5)), threshold(&every_3_s(1_500))), (1_000, 6_000));
        for latency in [5, 1_500] {
            assert_eq!(measure(&tp(), &every_3_s(latency), &[], 30_000).unwrap().outages, []);
        }
    }
}
