//! One turn of a coordinator: the time, the settings, and where its outputs go.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatResponse, JoinGroupResponse, OffsetCommitResponse, OffsetDeleteResponse,
};

use super::classic::CommittedOffset;
use super::config::GroupConfig;
use super::consumer::{ConsumerGroup, Topics};
use super::member::Member;
use super::types::{AppendId, LogRecord, Output, Reply, Ticket};
use crate::base::random::Stream;
use crate::base::{Now, TopicPartition};

/// See the module.
pub(super) struct Turn<'a> {
    pub now: Now,
    pub cfg: &'a GroupConfig,
    pub random: &'a mut Stream,
    pub topics: &'a Topics,
    pub appends: &'a mut Appends,
    pub out: &'a mut Vec<Output>,
}

/// Records that are on their way into the log.
#[derive(Debug, Default)]
pub(super) struct Appends {
    next: u64,
    pub waiting: BTreeMap<AppendId, Waiting>,
    /// Answers that tell of nothing new, and yet of nothing that is not committed.
    pub following: Vec<Following>,
}

/// An answer that waits for records which were on their way already.
#[derive(Debug)]
pub(super) struct Following {
    pub after: AppendId,
    /// In monotonic ns.
    pub deadline: u64,
    pub ticket: Ticket,
    pub answer: Box<ConsumerGroupHeartbeatResponse>,
}

/// What a change of a group's members or of its protocol starts from.
#[derive(Debug)]
pub(super) struct Before {
    pub consumer: Option<ConsumerGroup>,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    pub generation: i32,
}

/// What is to happen once records are committed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub group: Arc<str>,
    /// Until when the request waits, in monotonic ns; `u64::MAX` once it has been answered.
    pub deadline: u64,
    pub then: Then,
}

#[derive(Debug)]
pub(super) enum Then {
    /// Nobody waits.
    Nothing,
    /// The generation becomes stable.
    Assign { generation: i32, assignments: BTreeMap<Arc<str>, Bytes> },
    /// A static member has taken its predecessor's place.
    Replace { ticket: Ticket, reply: Box<JoinGroupResponse>, previous: Box<Member> },
    /// A change of a group of the consumer protocol is to be told; should it fail, all is as before.
    Change { before: Box<Before>, answer: Option<(Ticket, Box<ConsumerGroupHeartbeatResponse>)> },
    /// Offsets become visible.
    Commit { ticket: Ticket, reply: OffsetCommitResponse, offsets: Vec<(TopicPartition, CommittedOffset)> },
    /// Offsets are gone.
    Forget { reply: Option<(Ticket, OffsetDeleteResponse)>, offsets: Vec<TopicPartition> },
    /// The group is gone with all it had.
    Delete { ticket: Option<Ticket> },
}

impl Turn<'_> {
    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.out.push(Output::Reply(ticket, reply));
    }
    pub fn append(&mut self, group: &Arc<str>, records: Vec<LogRecord>, then: Then) {
        self.appends.next += 1;
        let id = AppendId(self.appends.next);
        let deadline = match then {
            Then::Nothing => u64::MAX,
            _ => self.now.after_ms(self.cfg.commit_timeout_ms),
        };
        self.appends.waiting.insert(id, Waiting { group: group.clone(), deadline, then });
        self.out.push(Output::Append(id, records));
    }
}

impl Turn<'_> {
    /// Answers once the records are committed; without any, once all is that was to be written before.
    pub fn answer_when_committed(
        &mut self,
        group: &Arc<str>,
        records: Vec<LogRecord>,
        before: Before,
        ticket: Ticket,
        answer: ConsumerGroupHeartbeatResponse,
    ) {
        let answer = Box::new(answer);
        match self.appends.waiting.last_key_value() {
            _ if !records.is_empty() => {
                self.append(group, records, Then::Change { before: Box::new(before), answer: Some((ticket, answer)) });
            }
            None => self.reply(ticket, Reply::ConsumerHeartbeat(*answer)),
            Some((after, _)) => {
                let (after, deadline) = (*after, self.now.after_ms(self.cfg.commit_timeout_ms));
                self.appends.following.push(Following { after, deadline, ticket, answer });
            }
        }
    }
}

impl Appends {
    /// Takes those out of whom this holds.
    pub fn take_following(&mut self, which: impl Fn(&Following) -> bool) -> Vec<Following> {
        let (taken, left) = std::mem::take(&mut self.following).into_iter().partition(|f| which(f));
        self.following = left;
        taken
    }
    /// Partitions of a group whose commits are on their way.
    pub fn pending_offsets<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a TopicPartition> {
        let of_group = self.waiting.values().filter(move |w| &*w.group == group);
        of_group
            .flat_map(|w| match &w.then {
                Then::Commit { offsets, .. } => offsets.as_slice(),
                _ => &[],
            })
            .map(|(tp, _)| tp)
    }
}
