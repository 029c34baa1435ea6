//! The clocks of a host: monotonic time with a drift rate, wall time with an offset.

use super::world::World;
use crate::base::Now;

/// What the wall clock of a host without an offset shows when a run begins: 2026-01-01T00:00:00Z.
const WALL_BASE_MS: i64 = 1_767_225_600_000;
const MILLION: i128 = 1_000_000;

/// What the clocks of the current node say.
#[must_use]
pub fn now() -> Now {
    World::with_current(|world| {
        let true_ns = world.now_ns();
        world.state().lock().current_host().clock.read(true_ns)
    })
}

/// How a host's clocks follow true time: local = base + elapsed x (1 + ppm / 1,000,000).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LocalClock {
    ppm: i32,
    base_true: u64,
    base_local: u64,
    /// Added to wall time, in milliseconds.
    pub offset_ms: i64,
}

impl LocalClock {
    pub fn read(&self, true_ns: u64) -> Now {
        let mono_ns = self.local(true_ns);
        Now { mono_ns, wall_ms: WALL_BASE_MS + (mono_ns / 1_000_000) as i64 + self.offset_ms }
    }
    /// Local monotonic time at a true time.
    #[inline]
    pub fn local(&self, true_ns: u64) -> u64 {
        if self.ppm == 0 {
            return self.base_local + true_ns.saturating_sub(self.base_true);
        }
        self.base_local
            + (i128::from(true_ns.saturating_sub(self.base_true)) * (MILLION + i128::from(self.ppm)) / MILLION) as u64
    }
    /// The first true time at which the local clock shows at least `local_ns`.
    #[inline]
    pub fn true_at(&self, local_ns: u64) -> u64 {
        let ahead = local_ns.saturating_sub(self.base_local);
        if self.ppm == 0 {
            return self.base_true.saturating_add(ahead);
        }
        let rate = MILLION + i128::from(self.ppm);
        let elapsed = (i128::from(ahead) * MILLION + rate - 1) / rate;
        self.base_true.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
    /// Changes the rate from now on, without a jump.
    pub fn set_drift(&mut self, true_ns: u64, ppm: i32) {
        assert!((-500_000..=500_000).contains(&ppm), "a drift of {ppm} ppm is no clock any more");
        self.base_local = self.local(true_ns);
        self.base_true = true_ns;
        self.ppm = ppm;
    }
}

#[cfg(test)]
mod tests {
    use super::LocalClock;

    #[test]
    fn a_drifting_clock_converts_there_and_back_without_waking_early() {
        for ppm in [-300_000, -50, 0, 50, 123_456] {
            let mut clock = LocalClock::default();
            clock.set_drift(1_000_000_007, ppm);
            for local in [1_000_000_007u64, 1_000_000_008, 5_000_000_001, 77_123_456_789] {
                let at = clock.true_at(local);
                assert!(clock.local(at) >= local, "ppm {ppm}: woke early");
                assert!(at <= 1_000_000_007 || clock.local(at - 1) < local, "ppm {ppm}: woke late");
            }
        }
    }

    #[test]
    fn changing_the_drift_never_jumps() {
        let mut clock = LocalClock::default();
        clock.set_drift(0, 100_000);
        let before = clock.local(2_000_000_000);
        clock.set_drift(2_000_000_000, -100_000);
        assert_eq!(clock.local(2_000_000_000), before);
        assert_eq!(clock.local(3_000_000_000), before + 900_000_000);
    }
}
