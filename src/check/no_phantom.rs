//! NO-PHANTOM: every value read was sent to that partition, and a definitely failed value is never read.
//!
//! No stricter: an application may copy what it read to a dead-letter topic; only a failure in which no attempt can have
//! been appended is definite; NOT_ENOUGH_REPLICAS_AFTER_APPEND, timeouts and lost connections leave the outcome unknown (a
//! timeout is "unknown", never "failed"). Where clients write that the court is not told of, as a person's own may, nobody
//! can say of a value that it was never sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::verdict::{Audit, Findings};
use crate::base::{Offset, TopicPartition};
use crate::world::history::{Op, SOMEWHERE, Value};
use crate::world::member::MemberOp;

struct Sent {
    tp: TopicPartition,
    definitely_failed: bool,
    read: bool,
}

impl Sent {
    /// True if the value was sent to that partition, or to any of its topic.
    fn meant(&self, tp: &TopicPartition) -> bool {
        self.tp == *tp || (self.tp.partition == SOMEWHERE && self.tp.topic == tp.topic)
    }
}

#[derive(Default)]
pub(super) struct NoPhantom {
    sent: BTreeMap<Value, Sent>,
    /// Copies that an application writes to a dead-letter topic.
    letters: BTreeSet<(Arc<str>, Value)>,
    /// Clients write of which the court is not told.
    untold_writers: bool,
}

impl NoPhantom {
    pub(super) fn new(untold_writers: bool) -> Self {
        Self { untold_writers, ..Self::default() }
    }
    pub(super) fn client(&mut self, op: &Op, out: &mut Findings) {
        match op {
            Op::Sent { value, tp } => {
                self.sent.insert(*value, Sent { tp: tp.clone(), definitely_failed: false, read: false });
            }
            Op::Failed { value, definite: true, error, .. } => {
                let Some(sent) = self.sent.get_mut(value) else { return };
                sent.definitely_failed = true;
                if sent.read {
                    let tp = &sent.tp;
                    out.report(
                        "NO-PHANTOM",
                        None,
                        format!("{tp}: {value} was read and then failed for sure ({error})"),
                    );
                }
            }
            Op::Member { what: MemberOp::DeadLetter { value: Some(value), topic }, .. } => {
                self.letters.insert((topic.clone(), *value));
            }
            Op::Read { tp, offset, value, .. } => self.read(tp, *offset, *value, out),
            _ => {}
        }
    }
    pub(super) fn audit(&mut self, audit: &Audit, out: &mut Findings) {
        for (offset, value) in &audit.records {
            self.read(&audit.tp, *offset, *value, out);
        }
    }
    fn read(&mut self, tp: &TopicPartition, offset: Offset, value: Option<Value>, out: &mut Findings) {
        let problem = match value {
            None => (!self.untold_writers).then(|| "bytes that nobody wrote".to_owned()),
            Some(value) if self.letters.contains(&(tp.topic.clone(), value)) => None,
            Some(value) => match self.sent.get_mut(&value) {
                None => (!self.untold_writers).then(|| format!("{value}, which nobody sent")),
                Some(sent) if !sent.meant(tp) => Some(format!("{value}, which was sent to {}", sent.tp)),
                Some(sent) => {
                    sent.read = true;
                    sent.definitely_failed.then(|| format!("{value}, which failed for sure"))
                }
            },
        };
        if let Some(what) = problem {
            out.report("NO-PHANTOM", Some("G1a"), format!("{tp}: offset {offset} holds {what}"));
        }
    }
}
