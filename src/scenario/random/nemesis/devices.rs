//! Plots of disks and clocks.

use super::{Nemesis, RECOVERY_MS};
use crate::scenario::budget::Loss;
use crate::scenario::model::{Action, ClockDrift, ClockStep, DiskError, DiskFull, DiskOp, DiskSlow, Target};
use crate::scenario::units::{Bytes, Millis, Shift};

impl Nemesis<'_> {
    /// A disk that answers late, or not at all, while its broker's network lives: a grey failure.
    pub(super) fn disk_stall(&mut self, at: u64) {
        let lasts = self.span();
        let target = self.someone();
        let action = if self.stream.chance(1, 2) {
            Action::DiskStall(target)
        } else {
            let latency = Millis(self.stream.between(1, 60));
            let bandwidth = self.stream.chance(1, 2).then(|| Bytes(self.stream.between(20_000, 1_000_000)));
            Action::DiskSlow(DiskSlow { on: target, latency, bandwidth })
        };
        self.add(at, lasts, action);
    }
    /// A disk fails its broker, which ends and comes back later.
    pub(super) fn disk_failure(&mut self, at: u64) {
        let Some(broker) = self.free(at) else { return };
        let (lasts, on) = (self.span(), Target::Broker(broker));
        let action = if self.stream.chance(1, 4) {
            Action::DiskFull(DiskFull { on, left: Bytes(self.stream.between(0, 50_000)) })
        } else {
            let op = *self.stream.pick(&[DiskOp::Append, DiskOp::Append, DiskOp::Append, DiskOp::Sync, DiskOp::Read]);
            // After a sync that failed the kernel takes for clean what is not on the device, and a voter that starts again may
            // forget later what it has acknowledged: no quorum promises to survive that (the fsync trap).
            let votes = self.controllers.is_empty();
            let op = if votes && op == DiskOp::Sync { DiskOp::Append } else { op };
            Action::DiskError(DiskError { on, op, count: self.stream.between(1, 3) as u32 })
        };
        self.add(at, lasts, action);
        self.add(at + lasts + 1, 0, Action::Start(Target::Broker(broker)));
        self.windows.insert(broker, (at + lasts + RECOVERY_MS, Loss::Unsynced));
        self.busy.insert(broker, at + lasts + 1);
    }
    /// Clocks that run too fast or too slow, or a wall clock that jumps.
    pub(super) fn clock(&mut self, at: u64) {
        let lasts = self.span();
        let on = self.someone();
        let back = self.stream.chance(1, 2);
        let action = if self.stream.chance(1, 2) {
            let ppm = self.stream.between(100, 50_000) as i32;
            Action::ClockDrift(ClockDrift { on, ppm: if back { -ppm } else { ppm } })
        } else {
            let by = self.stream.between(100, 3_600_000) as i64;
            Action::ClockStep(ClockStep { on, by: Shift(if back { -by } else { by }) })
        };
        self.add(at, lasts, action);
    }
}
