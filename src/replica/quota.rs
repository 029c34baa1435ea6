//! The throttle of replication (KIP-73): how fast throttled replicas are copied, and who is held back when that is too fast
//! (Kafka's `ReplicationQuotaManager` over a `SimpleRate`).
//!
//! Bytes are counted in samples of one window each. The rate is what all samples hold, divided by the time since the oldest
//! of them began, but by one window at least: whoever has been slow for a while may be fast for a moment. A broker keeps
//! one quota for what it sends as leader and one for what it takes as follower.

/// `replication.quota.window.num` and `replication.quota.window.size.seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaWindows {
    /// How many samples count.
    pub count: u64,
    /// How long each of them is, in nanoseconds.
    pub length_ns: u64,
}

impl Default for QuotaWindows {
    /// Kafka's: ten whole seconds and the current one.
    fn default() -> Self {
        Self { count: 11, length_ns: NANOS }
    }
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    began_ns: u64,
    /// When something was last counted here.
    last_ns: u64,
    bytes: u64,
}

impl Sample {
    fn new(now_ns: u64) -> Self {
        Self { began_ns: now_ns, last_ns: now_ns, bytes: 0 }
    }
}

/// One throttle and what has gone through it lately.
#[derive(Clone, Debug)]
pub struct ReplicationQuota {
    windows: QuotaWindows,
    /// Bytes a second.
    limit: u64,
    /// A ring: one sample more than count, because the oldest may overlap the time that is looked at.
    samples: Vec<Sample>,
    current: usize,
}

impl ReplicationQuota {
    /// A throttle that lets everything through.
    #[must_use]
    pub fn new(windows: QuotaWindows) -> Self {
        Self { windows, limit: u64::MAX, samples: Vec::new(), current: 0 }
    }
    /// The rate that is allowed from now on, in bytes a second; what was counted stays.
    pub fn set_limit(&mut self, bytes_per_second: u64) {
        self.limit = bytes_per_second;
    }
    /// Counts what went to or came from a throttled replica, in sync or not: the limit is on all of it.
    pub fn record(&mut self, now_ns: u64, bytes: u64) {
        self.begin(now_ns);
        if now_ns.saturating_sub(self.samples[self.current].began_ns) >= self.windows.length_ns {
            self.advance(now_ns);
        }
        let sample = &mut self.samples[self.current];
        sample.bytes = sample.bytes.saturating_add(bytes);
        sample.last_ns = now_ns;
    }
    /// True if a replica has to wait: a throttled one that is not in sync, while the rate is too high. One that is in sync
    /// never waits, or throttling a move would shrink ISRs.
    pub fn holds_back(&mut self, now_ns: u64, throttled: bool, in_sync: bool) -> bool {
        throttled && !in_sync && self.exceeded(now_ns)
    }
    fn exceeded(&mut self, now_ns: u64) -> bool {
        self.begin(now_ns);
        self.forget(now_ns);
        let bytes: u64 = self.samples.iter().map(|s| s.bytes).fold(0, u64::saturating_add);
        let oldest = self.samples.iter().map(|s| s.began_ns).min().unwrap_or(now_ns);
        let span = now_ns.saturating_sub(oldest).max(self.windows.length_ns);
        u128::from(bytes) * u128::from(NANOS) > u128::from(self.limit) * u128::from(span)
    }
    /// Time counts from the first look or record.
    fn begin(&mut self, now_ns: u64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now_ns));
        }
    }
    /// Samples in which nothing has happened within the time that is looked at begin anew.
    fn forget(&mut self, now_ns: u64) {
        let age = self.windows.count.saturating_mul(self.windows.length_ns);
        for sample in self.samples.iter_mut().filter(|s| now_ns.saturating_sub(s.last_ns) >= age) {
            *sample = Sample::new(now_ns);
        }
    }
    fn advance(&mut self, now_ns: u64) {
        self.current = (self.current + 1) % (self.windows.count as usize + 1);
        match self.samples.get_mut(self.current) {
            Some(sample) => *sample = Sample::new(now_ns),
            None => self.samples.push(Sample::new(now_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = NANOS / 1_000;

    fn quota(limit: u64) -> ReplicationQuota {
        let mut quota = ReplicationQuota::new(QuotaWindows::default());
        quota.set_limit(limit);
        quota
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut quota = ReplicationQuota::new(QuotaWindows::default());
        quota.record(0, u64::MAX);
        quota.record(1, u64::MAX);
        assert!(!quota.holds_back(1, true, false));
    }

    #[test]
    fn the_first_window_counts_whole_and_the_rate_falls_with_time() {
        let mut quota = quota(100);
        quota.record(5 * NANOS, 100);
        assert!(!quota.holds_back(5 * NANOS, true, false), "a hundred in the first second is the limit");
        quota.record(5 * NANOS, 200);
        assert!(quota.holds_back(5 * NANOS, true, false));
        assert!(quota.holds_back(8 * NANOS - 1, true, false));
        assert!(!quota.holds_back(8 * NANOS, true, false), "three hundred in three seconds");
    }

    #[test]
    fn what_is_older_than_the_windows_is_forgotten() {
        let mut quota = quota(1);
        quota.record(0, 1_000_000);
        assert!(quota.holds_back(11 * NANOS - 1, true, false));
        assert!(!quota.holds_back(11 * NANOS, true, false));
        quota.record(11 * NANOS, 2);
        assert!(quota.holds_back(11 * NANOS, true, false), "the time before counts no longer");
    }

    #[test]
    fn a_limit_that_is_changed_holds_for_what_was_counted_before() {
        let mut quota = quota(1_000);
        quota.record(0, 500);
        assert!(!quota.holds_back(0, true, false));
        quota.set_limit(0);
        assert!(quota.holds_back(0, true, false));
        quota.set_limit(u64::MAX);
        assert!(!quota.holds_back(0, true, false));
    }

    /// Steps of time, each with the size of the response that would be sent then.
    fn demand() -> impl Strategy<Value = Vec<(u64, u64)>> {
        proptest::collection::vec((0..3_000 * MS, 1..50_000u64), 1..400)
    }

    proptest! {
        #[test]
        fn over_a_long_run_the_rate_is_kept_but_for_one_response_a_window(
            limit in 1..100_000u64, count in 1..12u64, steps in demand(),
        ) {
            let windows = QuotaWindows { count, length_ns: NANOS };
            let mut quota = ReplicationQuota::new(windows);
            quota.set_limit(limit);
            let (mut now, mut sent) = (7 * NANOS, 0);
            for (step, size) in steps {
                now += step;
                if !quota.holds_back(now, true, false) {
                    quota.record(now, size);
                    sent += size;
                }
            }
            let largest = 50_000;
            let elapsed = now - 7 * NANOS;
            let allowed = limit * (elapsed / NANOS + 2) + largest * (elapsed / NANOS + 1);
            prop_assert!(sent <= allowed, "{} sent in {} ns, {} allowed", sent, elapsed, allowed);
            // Samples overlap by one window at most, so that the whole span forgives a single response.
            let spans = elapsed / (count * NANOS) + 2;
            let allowed = limit * (elapsed / NANOS + spans) + largest * spans;
            prop_assert!(sent <= allowed, "{} sent in {} ns, {} allowed over spans", sent, elapsed, allowed);
        }

        #[test]
        fn a_sender_that_always_has_something_gets_what_it_is_allowed(limit in 2_000..100_000u64, size in 1..1_000u64) {
            let mut quota = quota(limit);
            let (seconds, mut sent) = (60, 0);
            for now in (0..seconds * 1_000).map(|ms| ms * MS) {
                if !quota.holds_back(now, true, false) {
                    quota.record(now, size);
                    sent += size;
                }
            }
            let possible = (size * 1_000).min(limit) * seconds;
            prop_assert!(sent * 10 >= possible * 9, "{} of {} sent", sent, possible);
        }

        #[test]
        fn nobody_else_is_ever_held_back(limit in 0..1_000u64, steps in demand()) {
            let (mut quota, mut now) = (quota(limit), 0);
            for (step, size) in steps {
                now += step;
                quota.record(now, size);
                prop_assert!(!quota.holds_back(now, false, false), "not throttled");
                prop_assert!(!quota.holds_back(now, false, true), "neither throttled nor behind");
                prop_assert!(!quota.holds_back(now, true, true), "in sync");
            }
        }

        #[test]
        fn silence_ends_every_wait(limit in 1..1_000u64, steps in demand()) {
            let (mut quota, mut now) = (quota(limit), 0);
            for (step, size) in steps {
                now += step;
                quota.record(now, size);
            }
            prop_assert!(!quota.holds_back(now + 11 * NANOS, true, false));
        }
    }
}
