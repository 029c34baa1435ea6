//! One member of a group.

use std::sync::Arc;

use bytes::Bytes;

use super::types::Ticket;

/// A member, as it last joined.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: u64,
    pub session_timeout_ms: u64,
    /// Protocols with what the member says of itself under each, in the order of its preference.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// What it is to own in the current generation.
    pub assignment: Bytes,
    /// It joins for the first time and has had no answer yet: should its client be gone, only its session tells.
    pub is_new: bool,
    /// When its session is over, in monotonic ns.
    pub deadline: u64,
    pub awaiting_join: Option<Ticket>,
    pub awaiting_sync: Option<Ticket>,
}

impl Member {
    /// When its session ends unless it is heard of. The coordinator itself keeps waiting members waiting: for them no time runs,
    /// except for those who never had an answer (KAFKA-7610).
    pub fn expires(&self) -> u64 {
        let waits = self.awaiting_join.is_some() || self.awaiting_sync.is_some();
        if waits && !self.is_new { u64::MAX } else { self.deadline }
    }
    /// What it says of itself under `protocol`.
    pub fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|(name, _)| &**name == protocol).map(|(_, metadata)| metadata)
    }
}
