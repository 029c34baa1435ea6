//! One partition's coordinator, while it is being loaded and while it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::base::LeaderEpoch;
use crate::broker::partitions::Append;
use crate::group::{AppendId, Coordinator, Output, Reply, Ticket};
use crate::io::clock;

/// Appends in the order in which they were made.
pub(super) type Queue = mpsc::UnboundedSender<(AppendId, Append)>;

/// What the shard's task listens to.
pub(super) struct Inbox {
    pub appends: mpsc::UnboundedReceiver<(AppendId, Append)>,
    pub rung: Arc<Notify>,
}

pub(super) struct Shard {
    /// The leadership of the partition.
    pub epoch: LeaderEpoch,
    pub queue: Queue,
    /// Rung when a deadline comes in that is earlier than the one that the task waits for, and when this is over.
    pub rung: Arc<Notify>,
    /// None while it is being loaded.
    pub active: Option<Active>,
}

pub(super) struct Active {
    pub core: Coordinator,
    pub queue: Queue,
    /// Until when the task sleeps, in monotonic ns.
    pub armed: u64,
    replies: BTreeMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: u64,
}

impl Shard {
    pub fn loading(epoch: LeaderEpoch) -> (Self, Inbox) {
        let (queue, appends) = mpsc::unbounded_channel();
        let rung = Arc::new(Notify::new());
        (Self { epoch, queue, rung: rung.clone(), active: None }, Inbox { appends, rung })
    }
    /// Whoever waits is told to look elsewhere.
    pub fn resign(self) {
        if let Some(mut active) = self.active {
            let mut out = Vec::new();
            active.core.resign(clock::now(), &mut out);
            for output in out {
                if let Output::Reply(ticket, reply) = output {
                    active.reply(ticket, reply);
                }
            }
        }
        self.rung.notify_one();
    }
}

impl Active {
    pub fn new(core: Coordinator, queue: Queue) -> Self {
        Self { core, queue, armed: 0, replies: BTreeMap::new(), next_ticket: 0 }
    }
    pub fn ticket(&mut self, sender: oneshot::Sender<Reply>) -> Ticket {
        self.next_ticket += 1;
        self.replies.insert(Ticket(self.next_ticket), sender);
        Ticket(self.next_ticket)
    }
    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        if let Some(sender) = self.replies.remove(&ticket) {
            // Whoever waited may have gone away with its connection.
            let _ = sender.send(reply);
        }
    }
}
