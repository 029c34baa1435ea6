//! Members that leave, and members whose time is over (`consumerGroupLeave`, `consumerGroupFenceMember`).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::heartbeat::Refusal;
use super::{ConsumerGroup, ConsumerMember, LEAVE_FOR_A_WHILE, MemberState, Partitions, records};
use crate::base::Now;
use crate::base::marks::{Mark, mark};
use crate::group::config::GroupConfig;
use crate::group::turn::Turn;
use crate::group::types::{text, wire};
use crate::wire::records::consumer_groups::ConsumerGroupRecord as Record;

impl ConsumerGroup {
    /// A member leaves, for good or for a while.
    pub fn leave(
        &mut self,
        group: &Arc<str>,
        turn: &Turn<'_>,
        r: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(Vec<Record>, ConsumerGroupHeartbeatResponse), Refusal> {
        let id = text(&r.member_id);
        let unknown = (ResponseError::UnknownMemberId, "Member is not a member of the group.");
        if let Some(instance) = r.instance_id.as_deref() {
            let holder = self.statics.get(instance).ok_or(unknown)?;
            if *holder != id {
                return Err((ResponseError::FencedInstanceId, "Another member has this instance id."));
            }
        }
        let member = self.members.get(&id).ok_or(unknown)?;
        let records = match r.member_epoch {
            LEAVE_FOR_A_WHILE => {
                let away = ConsumerMember { epoch: LEAVE_FOR_A_WHILE, revoking: Partitions::new(), ..member.clone() };
                let record = records::current(group, &away);
                self.apply(&record);
                vec![record]
            }
            _ => self.fence(group, turn, std::slice::from_ref(&id)),
        };
        let answer =
            ConsumerGroupHeartbeatResponse::default().with_member_id(Some(wire(&id))).with_member_epoch(r.member_epoch);
        Ok((records, answer))
    }
    /// Members are none any more: their partitions are free, and the group epoch rises once.
    pub fn fence(&mut self, group: &Arc<str>, turn: &Turn<'_>, ids: &[Arc<str>]) -> Vec<Record> {
        let mut out: Vec<Record> = ids.iter().flat_map(|id| records::gone(group, id)).collect();
        out.iter().for_each(|record| self.apply(record));
        let topics = self.known(turn.topics);
        let from = out.len();
        if topics != self.topics {
            out.push(records::topics(group, &topics));
        }
        out.push(records::epoch(group, self.epoch + 1));
        out[from..].iter().for_each(|record| self.apply(record));
        out
    }
    /// Fences those whose session is over and those that have not given back in time what they were asked for.
    pub fn expire(&mut self, group: &Arc<str>, turn: &Turn<'_>) -> Vec<Record> {
        let now = turn.now.mono_ns;
        let mut late = Vec::new();
        for member in self.members.values_mut().filter(|m| m.next_deadline() <= now) {
            let stuck = member.revoke_by.is_some_and(|(epoch, at)| at <= now && epoch == member.epoch);
            if stuck || member.session_ns <= now {
                tracing::debug!(%group, member = %member.id, stuck, "a member of the consumer protocol is fenced");
                mark(Mark::NextMemberFenced);
                late.push(member.id.clone());
            } else {
                member.revoke_by = None;
            }
        }
        if late.is_empty() { Vec::new() } else { self.fence(group, turn, &late) }
    }
    /// The coordinator has just loaded: every member has a whole session to be heard of.
    pub fn loaded(&mut self, cfg: &GroupConfig, now: Now) {
        self.mend();
        for member in self.members.values_mut() {
            member.session_ns = now.after_ms(cfg.consumer_session_timeout_ms);
            let timeout_ms = u64::try_from(member.rebalance_timeout_ms).unwrap_or(0);
            let revokes = member.state == MemberState::UnrevokedPartitions;
            member.revoke_by = revokes.then(|| (member.epoch, now.after_ms(timeout_ms)));
        }
    }
    /// Records that could not be read were passed over: what is left must agree all the same. Of two holders of a partition the first
    /// keeps it; the other is told so.
    fn mend(&mut self) {
        let mut held = Partitions::new();
        let mut epoch = self.epoch.max(self.assignment_epoch);
        for member in self.members.values_mut() {
            member.assigned.retain(|tp| held.insert(*tp));
            member.revoking.retain(|tp| held.insert(*tp));
            epoch = epoch.max(member.epoch);
        }
        self.epoch = epoch;
        let members = &self.members;
        self.statics.retain(|instance, id| members.get(&**id).is_some_and(|m| m.instance.as_ref() == Some(instance)));
    }
    /// What was to be written could not be: what is overdue is tried again, a little later.
    pub fn postpone(&mut self, until_ns: u64) {
        for member in self.members.values_mut() {
            member.session_ns = member.session_ns.max(until_ns);
            member.revoke_by = member.revoke_by.map(|(epoch, at)| (epoch, at.max(until_ns)));
        }
    }
}
