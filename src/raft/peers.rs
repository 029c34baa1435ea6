//! Which requests of ours are under way (Kafka's `RequestManager`): at most one per peer, a timeout for each, and a
//! pause after a failure.

use std::collections::BTreeMap;

use super::message::RequestId;
use crate::base::time::NANOS_PER_MS;
use crate::base::{BrokerId, Now};

#[derive(Debug, Default)]
struct Peer {
    in_flight: Option<(RequestId, u64)>,
    backoff_until: Option<u64>,
}

/// The peers that this node may ask: all voters but itself.
#[derive(Debug)]
pub(super) struct Peers {
    peers: BTreeMap<BrokerId, Peer>,
    next_id: u64,
    timeout_ns: u64,
    backoff_ns: u64,
}

impl Peers {
    pub(super) fn new(peers: impl Iterator<Item = BrokerId>, timeout_ms: u64, backoff_ms: u64) -> Self {
        Self {
            peers: peers.map(|id| (id, Peer::default())).collect(),
            next_id: 0,
            timeout_ns: timeout_ms * NANOS_PER_MS,
            backoff_ns: backoff_ms * NANOS_PER_MS,
        }
    }
    /// True if `peer` may be asked something now.
    pub(super) fn ready(&self, peer: BrokerId) -> bool {
        self.peers.get(&peer).is_some_and(|p| p.in_flight.is_none() && p.backoff_until.is_none())
    }
    /// All that may be asked something now.
    pub(super) fn all_ready(&self) -> impl Iterator<Item = BrokerId> {
        self.peers.keys().copied().filter(|&id| self.ready(id))
    }
    pub(super) fn any_in_flight(&self) -> bool {
        self.peers.values().any(|p| p.in_flight.is_some())
    }
    /// A request goes out to `peer`, which must be known.
    pub(super) fn sent(&mut self, peer: BrokerId, now: Now) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let peer = self.peers.get_mut(&peer).expect("requests go to voters only");
        peer.in_flight = Some((id, now.mono_ns + self.timeout_ns));
        id
    }
    /// The request is over. None if nobody waits for it any more.
    pub(super) fn finished(&mut self, id: RequestId) -> Option<BrokerId> {
        let waits = |p: &Peer| p.in_flight.is_some_and(|(waiting, _)| waiting == id);
        let (peer, state) = self.peers.iter_mut().find(|(_, p)| waits(p))?;
        state.in_flight = None;
        Some(*peer)
    }
    /// Leaves `peer` alone for the retry backoff.
    pub(super) fn back_off(&mut self, peer: BrokerId, now: Now) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.backoff_until = Some(now.mono_ns + self.backoff_ns);
        }
    }
    /// Ends pauses and requests whose time is over; returns those whose request timed out.
    pub(super) fn expire(&mut self, now: Now) -> Vec<BrokerId> {
        let mut timed_out = Vec::new();
        for (&id, peer) in &mut self.peers {
            if peer.backoff_until.is_some_and(|at| at <= now.mono_ns) {
                peer.backoff_until = None;
            }
            if peer.in_flight.is_some_and(|(_, deadline)| deadline <= now.mono_ns) {
                peer.in_flight = None;
                timed_out.push(id);
            }
        }
        timed_out
    }
    /// Forgets everything: the role changed, earlier answers no longer matter.
    pub(super) fn reset(&mut self) {
        for peer in self.peers.values_mut() {
            *peer = Peer::default();
        }
    }
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.peers.values().flat_map(|p| p.in_flight.map(|(_, at)| at).into_iter().chain(p.backoff_until)).min()
    }
}
