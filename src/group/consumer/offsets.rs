//! Whose word on committed offsets counts (`ConsumerGroup.validateOffsetCommit` and `validateOffsetFetch`).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;

use super::ConsumerGroup;
use crate::base::Now;
use crate::group::coordinator::Coordinator;
use crate::group::offsets;
use crate::group::types::{Output, Reply, Ticket};

/// From this version on OffsetCommit can answer STALE_MEMBER_EPOCH.
const MEMBER_EPOCH: i16 = 9;

impl ConsumerGroup {
    /// A member commits in its own epoch alone. In a group without members anybody may who names none.
    pub fn check_commit(&self, member: &str, epoch: i32) -> Result<(), ResponseError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        self.check_member(member, epoch)
    }
    /// Members ask in their own epoch; who names neither member nor epoch may ask as well.
    pub fn check_fetch(&self, member: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        match member.filter(|id| !id.is_empty()) {
            None if epoch < 0 => Ok(()),
            member => self.check_member(member.unwrap_or_default(), epoch),
        }
    }
    fn check_member(&self, member: &str, epoch: i32) -> Result<(), ResponseError> {
        let known = self.members.get(member).ok_or(ResponseError::UnknownMemberId)?;
        if known.epoch == epoch { Ok(()) } else { Err(ResponseError::StaleMemberEpoch) }
    }
}

impl Coordinator {
    /// OffsetCommit in a version of the wire: members of the consumer protocol need one that can tell them that they are stale.
    pub fn commit_in_version(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: &OffsetCommitRequest,
        version: i16,
        out: &mut Vec<Output>,
    ) {
        let group = self.group(&request.group_id).and_then(|g| g.consumer.as_ref());
        if version < MEMBER_EPOCH && group.is_some_and(|g| g.members.contains_key(request.member_id.as_str())) {
            let refused = offsets::commit_refused(request, ResponseError::UnsupportedVersion);
            out.push(Output::Reply(ticket, Reply::Commit(refused)));
            return;
        }
        self.commit(now, ticket, request, out);
    }
    /// Whether this member may ask for the group's committed offsets.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH.
    pub fn check_offset_fetch(&self, id: &str, member: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        self.consumer_group(id).map_or(Ok(()), |group| group.check_fetch(member, epoch))
    }
}
