//! NO-PHANTOM: every value read was sent to that partition, and a definitely failed value is never read.
//!
//! No stricter: only a failure in which no attempt can have been appended is definite; NOT_ENOUGH_REPLICAS_AFTER_APPEND,
//! timeouts and lost connections leave the outcome unknown (a timeout is "unknown", never "failed").

use std::collections::BTreeMap;

use super::verdict::{Audit, Findings};
use crate::base::{Offset, TopicPartition};
use crate::world::history::{Op, SOMEWHERE, Value};

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
}

impl NoPhantom {
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
            None => Some("bytes that nobody wrote".to_owned()),
            Some(value) => match self.sent.get_mut(&value) {
                None => Some(format!("{value}, which nobody sent")),
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
