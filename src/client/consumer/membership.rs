//! The consumer's calls that concern its group.

use super::group::{CommitError, GroupMetadata, Member, OffsetAndMetadata, Rebalance};
use super::{Consumer, Parts};
use crate::base::TopicPartition;
use crate::io::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Consumer {
    /// Shares these topics with the other members of the group from now on, in the place of whatever was subscribed to before. The
    /// consumer takes part while it is polled; see [`Self::take_rebalances`].
    ///
    /// # Panics
    /// Without a `group.id`: there is nobody to share with.
    pub fn subscribe(&mut self, topics: impl IntoIterator<Item = String>) {
        let member = self.parts.member.as_mut().expect("subscribing needs a group.id");
        member.subscribe(topics.into_iter().map(Arc::from).collect());
    }
    /// What the group has given and taken since this was last asked, in order. A poll in which something happens returns at
    /// once and without records: what was revoked can still be committed, and what was assigned sought, until the next poll.
    pub fn take_rebalances(&mut self) -> Vec<Rebalance> {
        self.parts.member.as_mut().map(Member::take_rebalances).unwrap_or_default()
    }
    /// As whom the consumer takes part; none without a `group.id`.
    #[must_use]
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        self.parts.member.as_ref().map(Member::group)
    }

    /// Commits these offsets and waits until the coordinator has them, trying again what may be cured by that.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`CommitError::Timeout`] nobody knows whether they were committed.
    pub async fn commit_sync(
        &mut self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<(), CommitError> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.commit_within(offsets.clone(), self.api_timeout).await
    }
    async fn commit_within(
        &mut self,
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        self.parts.member.as_mut().ok_or(CommitError::NoGroup)?.commit(offsets)?;
        let outcome = self.drive(timeout, |parts| parts.member.as_mut().and_then(Member::outcome)).await;
        outcome.unwrap_or(Err(CommitError::Timeout))
    }
    /// True if an attempt of the commit that was answered last was lost before another one succeeded. Commits bear no numbers: should
    /// the lost attempt arrive late, in the same generation, it is stored over whatever was committed since (`OffsetCommit` has
    /// nothing like a producer's sequence numbers).
    #[must_use]
    pub fn commit_was_repeated(&self) -> bool {
        self.parts.member.as_ref().is_some_and(Member::commit_was_repeated)
    }
    /// Commits these offsets while the caller goes on; nothing is tried again, so a later commit is never undone by an earlier one.
    /// What came of it is told by [`Self::take_commits`].
    pub fn commit_async(&mut self, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) {
        if let Some(member) = self.parts.member.as_mut().filter(|_| !offsets.is_empty()) {
            member.commit_unattended(offsets);
        }
    }
    /// What came of commits that nobody waited for, asynchronous and automatic ones, since this was last asked.
    pub fn take_commits(&mut self) -> Vec<(BTreeMap<TopicPartition, OffsetAndMetadata>, Result<(), CommitError>)> {
        self.parts.member.as_mut().map(Member::take_outcomes).unwrap_or_default()
    }
    /// How far the group has come in these partitions; those in which nothing was committed are left out.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, CommitError> {
        self.parts.member.as_mut().ok_or(CommitError::NoGroup)?.query(partitions);
        let answer = self.drive(self.api_timeout, |parts| parts.member.as_mut().and_then(Member::answer)).await;
        answer.unwrap_or(Err(CommitError::Timeout))
    }

    /// Commits what was polled if `enable.auto.commit` is on, waits for commits under way, and leaves the group unless it is
    /// a static member; all that within `default.api.timeout.ms`. A consumer that is dropped instead is missed only when its session
    /// is over.
    pub async fn close(mut self) {
        let timeout_ns = u64::try_from(self.api_timeout.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = clock::now().mono_ns.saturating_add(timeout_ns);
        let left = || Duration::from_nanos(until_ns.saturating_sub(clock::now().mono_ns));
        let Parts { fetcher, member, .. } = &self.parts;
        if let Some(offsets) = member.as_ref().and_then(|m| m.last_commit(fetcher)) {
            let committed = self.commit_within(offsets, left()).await;
            if let Err(error) = committed {
                tracing::debug!(%error, "the last commit of a consumer that closes");
            }
        }
        let idle = |parts: &mut Parts| parts.member.as_mut().is_none_or(Member::is_idle).then_some(());
        // Whoever gives up waiting here leaves all the same.
        let _ = self.drive(left(), idle).await;
        if let Some(member) = &mut self.parts.member {
            member.leave();
        }
        let gone = |parts: &mut Parts| parts.member.as_ref().is_none_or(Member::has_left).then_some(());
        let _ = self.drive(left(), gone).await;
    }
}
