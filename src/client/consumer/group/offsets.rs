//! Commits and questions about committed offsets that are on their way (the other half of Kafka's `ConsumerCoordinator`).
//!
//! Pure. A commit belongs to the generation in which it was asked for, and is never sent in another one.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::membership::{Generation, Membership, Settings, State, wire};
use super::types::{CommitError, OffsetAndMetadata};
use crate::base::{LeaderEpoch, Now, Offset, TopicPartition};

/// Offsets by partition.
pub(super) type OffsetMap = BTreeMap<TopicPartition, OffsetAndMetadata>;

#[derive(Debug)]
struct Commit {
    offsets: OffsetMap,
    generation: Generation,
    /// Whatever may be cured by trying again is tried again.
    persist: bool,
    attempt: Attempt,
}

#[derive(Debug)]
struct Query {
    partitions: Vec<TopicPartition>,
    attempt: Attempt,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    sent: bool,
    not_before_ns: u64,
    failures: u32,
    /// One was lost on its way, or its answer was.
    lost: bool,
}

/// See the module. What is answered waits to be taken by whoever asked, by the number that he was given.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    next_id: u64,
    commits: BTreeMap<u64, Commit>,
    queries: BTreeMap<u64, Query>,
    committed: BTreeMap<u64, Result<(), CommitError>>,
    /// The last commit that was answered was not stored by its first attempt, as far as anybody knows.
    pub repeated: bool,
    answered: BTreeMap<u64, Result<OffsetMap, ResponseError>>,
}

impl Offsets {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
    pub fn commit(&mut self, offsets: OffsetMap, generation: Generation, persist: bool) -> u64 {
        let id = self.id();
        self.commits.insert(id, Commit { offsets, generation, persist, attempt: Attempt::default() });
        id
    }
    pub fn query(&mut self, partitions: Vec<TopicPartition>) -> u64 {
        let id = self.id();
        self.queries.insert(id, Query { partitions, attempt: Attempt::default() });
        id
    }
    /// The outcome of a commit, once.
    pub fn take_commit(&mut self, id: u64) -> Option<Result<(), CommitError>> {
        self.committed.remove(&id)
    }
    /// The answer to a question, once: what was never committed is not in it.
    pub fn take_answer(&mut self, id: u64) -> Option<Result<OffsetMap, ResponseError>> {
        self.answered.remove(&id)
    }
    /// Nobody waits for this any more. What is on its way may arrive all the same.
    pub fn forget(&mut self, id: u64) {
        self.commits.remove(&id);
        self.queries.remove(&id);
        self.committed.remove(&id);
        self.answered.remove(&id);
    }
    /// A member has gone to another epoch without a break: what it has asked for in the last one, it asks for in this one.
    pub fn raise(&mut self, from: &Generation, to: &Generation) {
        if from.id >= 0 {
            let of_last = self.commits.values_mut().filter(|c| c.generation == *from);
            of_last.for_each(|c| c.generation = to.clone());
        }
    }
    /// True while something waits for an answer.
    pub fn is_waiting(&self) -> bool {
        !self.commits.is_empty() || !self.queries.is_empty()
    }
    /// The coordinator cannot be found now: those who do not insist are told. True if there are any.
    pub fn give_up_impatient(&mut self, error: ResponseError) -> bool {
        let idle = |c: &Commit| !c.persist && !c.attempt.sent;
        let over: Vec<u64> = self.commits.iter().filter(|(_, c)| idle(c)).map(|(id, _)| *id).collect();
        for id in &over {
            self.commits.remove(id);
            self.committed.insert(*id, Err(CommitError::Retriable(error)));
        }
        !over.is_empty()
    }
    /// When those that must wait may be sent.
    pub fn not_before_ns(&self) -> impl Iterator<Item = u64> + '_ {
        let attempts = self.commits.values().map(|c| c.attempt).chain(self.queries.values().map(|q| q.attempt));
        attempts.filter(|a| !a.sent).map(|a| a.not_before_ns)
    }
    pub fn next_commit(&mut self, now: Now, cfg: &Settings) -> Option<(u64, OffsetCommitRequest)> {
        let (id, commit) = self.commits.iter_mut().find(|(_, c)| c.attempt.due(now))?;
        commit.attempt.sent = true;
        let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
        for (tp, at) in &commit.offsets {
            let name = wire(&tp.topic);
            if topics.last().is_none_or(|t| t.name.0 != name) {
                topics.push(OffsetCommitRequestTopic::default().with_name(name.into()));
            }
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(tp.partition)
                .with_committed_offset(at.offset.0)
                .with_committed_leader_epoch(at.leader_epoch.unwrap_or(LeaderEpoch::NONE).0)
                .with_committed_metadata(Some(wire(&at.metadata)));
            topics.last_mut().expect("a topic was opened").partitions.push(partition);
        }
        let member = commit.generation.id >= 0;
        let request = OffsetCommitRequest::default()
            .with_group_id(wire(&cfg.group).into())
            .with_generation_id_or_member_epoch(commit.generation.id)
            .with_member_id(wire(&commit.generation.member))
            .with_group_instance_id(cfg.instance.as_deref().filter(|_| member).map(wire))
            .with_topics(topics);
        Some((*id, request))
    }
    /// Members of the consumer protocol ask as such.
    pub fn next_query(
        &mut self,
        now: Now,
        group: &str,
        member: Option<&Generation>,
    ) -> Option<(u64, OffsetFetchRequest)> {
        let (id, query) = self.queries.iter_mut().find(|(_, q)| q.attempt.due(now))?;
        query.attempt.sent = true;
        let mut topics: Vec<OffsetFetchRequestTopics> = Vec::new();
        for tp in &query.partitions {
            let name = wire(&tp.topic);
            if topics.last().is_none_or(|t| t.name.0 != name) {
                topics.push(OffsetFetchRequestTopics::default().with_name(name.into()));
            }
            topics.last_mut().expect("a topic was opened").partition_indexes.push(tp.partition);
        }
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(wire(group).into())
            .with_member_id(member.map(|m| wire(&m.member)))
            .with_member_epoch(member.map_or(-1, |m| m.id))
            .with_topics(Some(topics));
        Some((*id, OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true)))
    }
}

impl Attempt {
    fn due(&self, now: Now) -> bool {
        !self.sent && self.not_before_ns <= now.mono_ns
    }
    fn again(&mut self, not_before_ns: u64) {
        *self = Self { sent: false, not_before_ns, failures: self.failures.saturating_add(1), lost: self.lost };
    }
}

impl Membership {
    /// OffsetCommit was answered; none if that was lost, and then nobody knows whether it was heard.
    pub fn commit_answered(&mut self, now: Now, id: u64, answer: Option<&OffsetCommitResponse>) {
        let result = match answer {
            None => {
                self.coordinator_lost("OffsetCommit was lost");
                Err(ResponseError::NetworkException)
            }
            Some(answer) => {
                let mut partitions = answer.topics.iter().flat_map(|t| &t.partitions);
                partitions.find_map(|p| ResponseError::try_from_code(p.error_code)).map_or(Ok(()), Err)
            }
        };
        // It may have been forgotten; what the answer says of the coordinator holds nevertheless.
        let generation = self.offsets.commits.get(&id).map(|c| c.generation.clone());
        let result = result.map_err(|error| self.commit_refused(error, generation.as_ref()));
        let Some(commit) = self.offsets.commits.get(&id) else { return };
        if matches!(result, Err(CommitError::Retriable(_))) && commit.persist {
            let same = commit.generation.id < 0 || commit.generation == self.generation;
            if same {
                let not_before_ns = now.after_ms(self.backoff_ms(self.offsets.commits[&id].attempt.failures));
                if let Some(commit) = self.offsets.commits.get_mut(&id) {
                    commit.attempt.lost |= answer.is_none();
                    commit.attempt.again(not_before_ns);
                }
                return;
            }
        }
        self.offsets.repeated = commit.attempt.lost;
        self.offsets.commits.remove(&id);
        self.offsets.committed.insert(id, result);
        self.change();
    }
    /// What an error means, for this member and for who committed (`OffsetCommitResponseHandler`).
    fn commit_refused(&mut self, error: ResponseError, sent: Option<&Generation>) -> CommitError {
        use ResponseError as E;
        let current = sent == Some(&self.generation);
        match error {
            E::CoordinatorNotAvailable | E::NotCoordinator | E::RequestTimedOut => {
                self.coordinator_lost("a commit was refused");
                CommitError::Retriable(error)
            }
            E::RebalanceInProgress => {
                self.request_rejoin("a commit was refused: the group is rebalancing");
                CommitError::RebalanceInProgress
            }
            // The member is at another epoch than it knows: it asks again in that one (`isStaleEpochErrorAndValidEpochAvailable`).
            E::StaleMemberEpoch if current && self.is_member() => CommitError::Retriable(error),
            E::StaleMemberEpoch => CommitError::NotAMember,
            E::FencedInstanceId if current => {
                self.fail(error);
                CommitError::FencedInstanceId
            }
            E::UnknownMemberId | E::IllegalGeneration if current && self.is_member() => {
                self.reset(error == E::UnknownMemberId, "a commit was refused");
                CommitError::NotAMember
            }
            E::FencedInstanceId | E::UnknownMemberId | E::IllegalGeneration => match self.state {
                // It has taken part in another rebalance since.
                State::Preparing if !current => CommitError::RebalanceInProgress,
                _ => CommitError::NotAMember,
            },
            error if error.is_retriable() => CommitError::Retriable(error),
            error => CommitError::Broker(error),
        }
    }

    /// OffsetFetch was answered; none if that was lost. Asked again until it is forgotten, unless the error is for good.
    pub fn query_answered(&mut self, now: Now, id: u64, answer: Option<&OffsetFetchResponse>) {
        use ResponseError as E;
        let group = answer.and_then(|a| a.groups.first());
        let result = match (answer, group) {
            (None, _) => {
                self.coordinator_lost("OffsetFetch was lost");
                Err(E::NetworkException)
            }
            (Some(_), None) => Err(E::UnknownServerError),
            (_, Some(group)) => match E::try_from_code(group.error_code) {
                Some(error) => Err(error),
                None => committed(group.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (&t.name.0, p)))),
            },
        };
        if matches!(result, Err(E::NotCoordinator | E::CoordinatorNotAvailable)) {
            self.coordinator_lost("OffsetFetch was refused");
        }
        let Some(failures) = self.offsets.queries.get(&id).map(|q| q.attempt.failures) else { return };
        // A member that was fenced, or is at another epoch than it knew, asks again as what it is then.
        let stale = matches!(result, Err(E::StaleMemberEpoch | E::UnknownMemberId));
        if stale || result.as_ref().is_err_and(ResponseError::is_retriable) {
            let not_before_ns = now.after_ms(self.backoff_ms(failures));
            if let Some(query) = self.offsets.queries.get_mut(&id) {
                query.attempt.again(not_before_ns);
            }
            return;
        }
        self.offsets.queries.remove(&id);
        self.offsets.answered.insert(id, result);
        self.change();
    }
}

fn committed<'a>(
    partitions: impl Iterator<Item = (&'a StrBytes, &'a OffsetFetchResponsePartitions)>,
) -> Result<OffsetMap, ResponseError> {
    let mut offsets = OffsetMap::new();
    for (topic, p) in partitions {
        if let Some(error) = ResponseError::try_from_code(p.error_code) {
            return Err(error);
        }
        if p.committed_offset >= 0 {
            let at = OffsetAndMetadata {
                offset: Offset(p.committed_offset),
                leader_epoch: Some(LeaderEpoch(p.committed_leader_epoch)).filter(|e| e.0 >= 0),
                metadata: p.metadata.as_deref().unwrap_or_default().to_owned(),
            };
            offsets.insert(TopicPartition::new(topic.as_str(), p.partition_index), at);
        }
    }
    Ok(offsets)
}
