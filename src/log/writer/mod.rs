//! One writer per log: an ordered queue of steps against the disk, drained by one task, and run at once on the
//! caller's stack while the disk is quick and nothing is queued.

mod op;

pub use self::op::{Completion, Op};
