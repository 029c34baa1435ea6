//! How a member shows that it lives, and how it leaves (Kafka's `Heartbeat`, `HeartbeatThread` and `maybeLeaveGroup`).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{HeartbeatRequest, LeaveGroupRequest};
use kafka_protocol::protocol::StrBytes;

use super::membership::{Generation, Membership, State, wire};
use crate::base::Now;
use crate::client::config::GroupProtocol;

impl Membership {
    /// Does what time asks for, in the order of Kafka's `HeartbeatThread`.
    pub fn tick(&mut self, now: Now) {
        if self.cfg.protocol == GroupProtocol::Consumer {
            return self.tick_next(now);
        }
        if self.polling
            && let Some((sent, answer)) = self.join_answer.take()
        {
            self.take_join(now, &sent, answer);
        }
        if !matches!(self.state, State::Completing | State::Stable) || self.coordinator().is_none() {
            return;
        }
        if self.session_ns <= now.mono_ns {
            self.coordinator_lost("no heartbeat was answered within session.timeout.ms");
        } else if self.poll_ns <= now.mono_ns && !self.polling {
            tracing::debug!(group = %self.cfg.group, member = %self.generation.member, "max.poll.interval.ms is over");
            self.leave("consumer poll timeout has expired.");
        }
    }
    pub(super) fn heartbeat(&mut self, now: Now) -> HeartbeatRequest {
        self.heartbeat_asked = true;
        self.heartbeat_ns = now.after_ms(self.cfg.heartbeat_interval_ms);
        HeartbeatRequest::default()
            .with_group_id(wire(&self.cfg.group).into())
            .with_generation_id(self.generation.id)
            .with_member_id(wire(&self.generation.member))
            .with_group_instance_id(self.cfg.instance.as_deref().map(wire))
    }
    /// The answer to a heartbeat; none if it was lost.
    pub fn heard(&mut self, now: Now, sent: &Generation, code: Option<i16>) {
        use ResponseError as E;
        self.heartbeat_asked = false;
        let joined = matches!(self.state, State::Completing | State::Stable);
        let Some(code) = code else {
            self.heartbeat_ns = now.after_ms(self.backoff_ms(0));
            return self.coordinator_lost("a heartbeat was lost");
        };
        match E::try_from_code(code) {
            None => self.alive(now),
            Some(E::RebalanceInProgress) => {
                self.alive(now);
                // While it syncs it takes part already.
                if self.state == State::Stable {
                    self.request_rejoin("the group is rebalancing");
                }
            }
            Some(E::CoordinatorNotAvailable | E::NotCoordinator) => self.coordinator_lost("it said so"),
            Some(error) if *sent != self.generation || !joined => {
                tracing::debug!(?error, "a heartbeat of an earlier generation was refused");
            }
            Some(E::FencedInstanceId) => self.fail(E::FencedInstanceId),
            Some(E::IllegalGeneration) => self.reset(false, "illegal generation"),
            Some(E::UnknownMemberId) => self.reset(true, "the coordinator does not know this member"),
            Some(error) if error.is_retriable() => self.heartbeat_ns = now.after_ms(self.backoff_ms(0)),
            Some(error) => self.fail(error),
        }
    }
    /// The coordinator has shown that it knows this member.
    pub fn alive(&mut self, now: Now) {
        self.session_ns = now.after_ms(self.cfg.session_timeout_ms.into());
    }
    /// Heartbeats begin, as of now (`Heartbeat.resetTimeouts`).
    pub fn start_heartbeats(&mut self, now: Now) {
        self.alive(now);
        self.heartbeat_asked = false;
        self.heartbeat_ns = now.after_ms(self.cfg.heartbeat_interval_ms);
        self.poll_ns = now.after_ms(self.cfg.max_poll_interval_ms.into());
    }

    /// Leaves, unless it is a static member, which keeps its place until its session is over (KIP-345).
    pub fn leave(&mut self, reason: &'static str) {
        if self.leave_next() {
            return self.reset(true, reason);
        }
        let member = self.generation.member.clone();
        let known = self.coordinator().is_some();
        if self.cfg.instance.is_none() && known && self.state != State::Unjoined && !member.is_empty() {
            let identity = MemberIdentity::default()
                .with_member_id(wire(&member))
                .with_reason(Some(StrBytes::from_static_str(reason)));
            let request = LeaveGroupRequest::default().with_group_id(wire(&self.cfg.group).into());
            self.leaving.push_back(request.with_members(vec![identity]));
            self.leaves += 1;
        }
        self.reset(true, reason);
    }
    /// LeaveGroup was answered, or lost: nothing is made of either.
    pub fn left(&mut self) {
        self.leaves = self.leaves.saturating_sub(1);
        self.change();
    }
}
