//! The application's side of its membership: what poll does for the group before it returns records (`ConsumerCoordinator.poll`).

mod reconcile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Context;

use kafka_protocol::ResponseError;
use parking_lot::MutexGuard;

use super::driver::{Both, Driver, Shared};
use super::membership::{Membership, Settings};
use super::offsets::OffsetMap;
use super::types::{CommitError, GroupMetadata, Rebalance};
use crate::base::{Now, TopicPartition};
use crate::client::config::{ConsumerConfig, GroupProtocol};
use crate::client::consumer::ConsumerError;
use crate::client::consumer::fetcher::Fetcher;
use crate::io::task::TaskSet;
use crate::io::{self, clock};

/// How far giving up has come before the member may join.
enum GivingUp {
    /// Nothing has been begun.
    Idle,
    /// What was consumed is being committed, until this time at the latest.
    Committing { id: u64, until_ns: u64 },
    /// The application has been told; at its next poll the member joins.
    Told,
}

/// Why offsets are being committed while nobody waits for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Asked,
    Auto,
}

/// What came of commits that nobody waited for, in the order in which they ended.
pub(in crate::client::consumer) type Outcomes = Vec<(OffsetMap, Result<(), CommitError>)>;

/// See the module.
pub(in crate::client::consumer) struct Member {
    shared: Arc<Shared>,
    _driver: TaskSet,
    topics: BTreeSet<Arc<str>>,
    cooperative: bool,
    rebalance_timeout_ms: u64,
    auto_commit_ms: Option<u64>,
    auto_commit_ns: u64,
    retry_backoff_ms: u64,
    giving_up: GivingUp,
    /// Partitions of which nothing is returned because they are about to be given up.
    withheld: BTreeSet<TopicPartition>,
    /// The question for committed offsets of what has no position yet.
    asked: Option<u64>,
    /// A commit that the application waits for, or waited for.
    waited: Option<u64>,
    unattended: BTreeMap<u64, (OffsetMap, Why)>,
    rebalances: Vec<Rebalance>,
    outcomes: Outcomes,
    /// Poll is to return with this at once.
    interrupt: Option<Result<(), ConsumerError>>,
    /// An error that polling on does not cure.
    stays: Option<ResponseError>,
}

/// While it lives, the application is inside poll.
pub(in crate::client::consumer) struct Polling(Arc<Shared>);

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.state.lock().membership.poll_over();
    }
}

impl Member {
    /// None without a group.id. Its task starts at once, and connects when there is a reason.
    pub fn start(cfg: &ConsumerConfig) -> Option<Self> {
        let settings = Settings::of(cfg)?;
        let consumer = settings.protocol == GroupProtocol::Consumer;
        let (cooperative, rebalance_timeout_ms) =
            (consumer || settings.cooperative(), settings.max_poll_interval_ms.into());
        let rng = io::rng(&format!("group backoff {}", cfg.common.client_id));
        let shared = Shared::new(Membership::new(settings, rng));
        let mut tasks = TaskSet::new();
        tasks.spawn("group-member", Driver::new(shared.clone(), &cfg.common));
        Some(Self {
            shared,
            _driver: tasks,
            topics: BTreeSet::new(),
            cooperative,
            rebalance_timeout_ms,
            auto_commit_ms: cfg.auto_commit().then_some(cfg.auto_commit_interval_ms),
            auto_commit_ns: 0,
            retry_backoff_ms: cfg.common.retry_backoff_ms,
            giving_up: GivingUp::Idle,
            withheld: BTreeSet::new(),
            asked: None,
            waited: None,
            unattended: BTreeMap::new(),
            rebalances: Vec::new(),
            outcomes: Vec::new(),
            interrupt: None,
            stays: None,
        })
    }
    fn lock(&self) -> MutexGuard<'_, Both> {
        self.shared.state.lock()
    }
    pub fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) {
        self.topics = topics.clone();
        self.lock().membership.subscribe(topics);
    }
    /// True if partitions come from the group.
    pub fn is_subscribed(&self) -> bool {
        !self.topics.is_empty()
    }
    pub fn group(&self) -> GroupMetadata {
        self.lock().membership.metadata()
    }
    pub fn take_rebalances(&mut self) -> Vec<Rebalance> {
        std::mem::take(&mut self.rebalances)
    }
    pub fn take_outcomes(&mut self) -> Outcomes {
        self.sweep();
        std::mem::take(&mut self.outcomes)
    }
    /// Poll begins; it lasts as long as what is returned lives.
    pub fn poll(&self, now: Now) -> Polling {
        let mut both = self.lock();
        if both.membership.poll(now) {
            both.wake_driver();
        }
        drop(both);
        Polling(self.shared.clone())
    }
    /// Whether poll must still wait for the task to do what it only does while the application polls, as JoinGroup: a
    /// consumer with a backlog, whose polls return at once, would take part in no rebalance (`ConsumerNetworkClient.poll` does
    /// one round of I/O in every poll). `since` holds the turn of the task that is waited for to be over.
    pub fn awaits_task(&self, cx: &Context<'_>, now: Now, since: &mut Option<u64>) -> bool {
        let mut both = self.lock();
        match *since {
            Some(turn) if both.turns > turn => return false,
            None if !both.membership.wants_poll(now) => return false,
            _ => {}
        }
        if since.is_none() {
            *since = Some(both.turns);
            both.wake_driver();
        }
        both.awaited = true;
        both.application = Some(cx.waker().clone());
        true
    }
    /// What poll is to return with at once.
    pub fn take_interrupt(&mut self) -> Option<Result<(), ConsumerError>> {
        self.interrupt.take()
    }

    /// What a poll without records is to return.
    pub fn nothing(&self) -> Result<(), ConsumerError> {
        self.stays.map_or(Ok(()), |error| Err(ConsumerError::Group(error)))
    }

    /// Listens to the task behind the membership.
    pub fn listen(&self, cx: &Context<'_>) {
        let mut both = self.lock();
        if both.application.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            both.application = Some(cx.waker().clone());
        }
    }
    /// What every call does: takes in what has become of commits.
    pub fn sweep(&mut self) {
        let mut both = self.shared.state.lock();
        let offsets = &mut both.membership.offsets;
        let ended = self.unattended.keys().filter_map(|id| Some((*id, offsets.take_commit(*id)?)));
        for (id, result) in ended.collect::<Vec<_>>() {
            if let Some((offsets, why)) = self.unattended.remove(&id) {
                if why == Why::Auto && matches!(result, Err(CommitError::Retriable(_))) {
                    self.auto_commit_ns = clock::now().after_ms(self.retry_backoff_ms);
                }
                self.outcomes.push((offsets, result));
            }
        }
    }
    /// What poll does for the group; returns when it must be done again if nothing else happens before.
    pub fn turn(&mut self, now: Now, fetcher: &mut Fetcher) -> u64 {
        self.sweep();
        let shared = self.shared.clone();
        let mut both = shared.state.lock();
        both.membership.poll(now);
        if self.interrupt.is_none() {
            self.rebalance(&mut both, now, fetcher);
        }
        self.find_positions(&mut both, fetcher);
        self.auto_commit(&mut both, now, fetcher);
        // What is due and was not done waits for the coordinator, and the task behind the membership wakes whoever polls.
        let ahead = |at: u64| if at > now.mono_ns { at } else { u64::MAX };
        let committing = match self.giving_up {
            GivingUp::Committing { until_ns, .. } => ahead(until_ns),
            _ => u64::MAX,
        };
        let auto = if self.auto_commit_ms.is_some() { ahead(self.auto_commit_ns) } else { u64::MAX };
        committing.min(auto)
    }

    fn rebalance(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher) {
        if let Some(error) = both.membership.take_fatal() {
            // Who polls on in spite of an error that stays is told at the end of each poll: time is to pass.
            if self.stays != Some(error) {
                self.interrupt = Some(Err(ConsumerError::Group(error)));
            }
            self.stays = Some(error).filter(|_| both.membership.is_fenced());
        } else if let Some(assigned) = both.membership.take_joined() {
            self.take_over(both, now, fetcher, assigned);
        } else if both.membership.must_prepare() {
            self.give_up(both, now, fetcher);
        } else {
            self.reconcile(both, now, fetcher);
        }
    }
    /// Before JoinGroup: commits what was consumed if that is wanted, then owns only what may be kept (`onJoinPrepare`).
    fn give_up(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher) {
        let membership = &mut both.membership;
        match self.giving_up {
            GivingUp::Idle => {
                self.rebalances.push(Rebalance::JoinPrepared(membership.stamp(now)));
                // From here on nothing may be consumed that would not be committed.
                fetcher.hold(!self.cooperative);
                if !self.commits_first(both, now, fetcher) {
                    self.let_go(both, now, fetcher);
                }
            }
            GivingUp::Committing { id, until_ns } => {
                if self.has_committed(both, now, id, until_ns) {
                    self.let_go(both, now, fetcher);
                }
            }
            // It may have been expelled since.
            GivingUp::Told if !membership.is_member() => self.let_go(both, now, fetcher),
            GivingUp::Told => self.join(both, fetcher),
        }
    }
    /// Before anything is given up: asks for what was consumed to be committed, if that is wanted. False if there is nothing to
    /// wait for.
    fn commits_first(&mut self, both: &mut Both, now: Now, fetcher: &Fetcher) -> bool {
        let offsets = self.auto_commit_ms.map(|_| fetcher.consumed()).filter(|o| !o.is_empty());
        let Some(offsets) = offsets else { return false };
        let Ok(id) = both.membership.commit(offsets.clone(), true) else { return false };
        self.unattended.insert(id, (offsets, Why::Auto));
        self.giving_up = GivingUp::Committing { id, until_ns: now.after_ms(self.rebalance_timeout_ms) };
        both.wake_driver();
        true
    }
    /// True once it is known what became of that commit, or nobody waits for it any more.
    fn has_committed(&mut self, both: &mut Both, now: Now, id: u64, until_ns: u64) -> bool {
        let over = until_ns <= now.mono_ns;
        if over && let Some((offsets, _)) = self.unattended.remove(&id) {
            both.membership.offsets.forget(id);
            self.outcomes.push((offsets, Err(CommitError::Timeout)));
        }
        over || !self.unattended.contains_key(&id)
    }
    fn let_go(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher) {
        let membership = &both.membership;
        let lost = !membership.is_member();
        let kept = |tp: &TopicPartition| self.cooperative && !lost && self.topics.contains(&tp.topic);
        let (keep, gone): (BTreeSet<_>, BTreeSet<_>) = fetcher.assignment().cloned().partition(kept);
        fetcher.assign(keep);
        self.asked_anew(&mut both.membership);
        fetcher.hold(false);
        if gone.is_empty() {
            // Of the consumer protocol even who owned nothing is told, since its member id does not tell.
            if both.membership.take_fenced() {
                self.rebalances.push(Rebalance::Lost(Vec::new(), both.membership.stamp(now)));
            }
            return self.join(both, fetcher);
        }
        both.membership.take_fenced();
        let (gone, stamp) = (gone.into_iter().collect(), both.membership.stamp(now));
        self.rebalances.push(if lost { Rebalance::Lost(gone, stamp) } else { Rebalance::Revoked(gone, stamp) });
        self.giving_up = GivingUp::Told;
        self.interrupt = Some(Ok(()));
    }
    fn join(&mut self, both: &mut Both, fetcher: &Fetcher) {
        self.giving_up = GivingUp::Idle;
        both.membership.prepared(fetcher.assignment().cloned().collect());
        both.wake_driver();
    }
    /// After SyncGroup (`onJoinComplete`).
    fn take_over(&mut self, both: &mut Both, now: Now, fetcher: &mut Fetcher, assigned: BTreeSet<TopicPartition>) {
        if !assigned.iter().all(|tp| self.topics.contains(&tp.topic)) {
            // The subscription has changed since the member joined.
            both.membership.request_rejoin("the assignment does not match the subscription");
            return both.wake_driver();
        }
        let stamp = both.membership.stamp(now);
        let owned: BTreeSet<TopicPartition> = fetcher.assignment().cloned().collect();
        let revoked: Vec<_> = owned.difference(&assigned).cloned().collect();
        if !revoked.is_empty() {
            // Others may have it once everybody knows that it was given up.
            self.rebalances.push(Rebalance::Revoked(revoked, stamp.clone()));
            both.membership.request_rejoin("partitions were given up for others");
            both.wake_driver();
        }
        let added = assigned.difference(&owned).cloned().collect();
        self.rebalances.push(Rebalance::Assigned(added, stamp));
        fetcher.assign(assigned);
        self.asked_anew(&mut both.membership);
        self.auto_commit_ns = now.after_ms(self.auto_commit_ms.unwrap_or(0));
        self.interrupt = Some(Ok(()));
    }

    /// What was answered before an assignment says nothing after it: others may have committed since.
    fn asked_anew(&mut self, membership: &mut Membership) {
        if let Some(id) = self.asked.take() {
            membership.offsets.forget(id);
        }
    }
    /// Asks where the group has come to in what has no position yet.
    fn find_positions(&mut self, both: &mut Both, fetcher: &mut Fetcher) {
        let offsets = &mut both.membership.offsets;
        if let Some(answer) = self.asked.and_then(|id| offsets.take_answer(id)) {
            self.asked = None;
            match answer {
                Ok(committed) => fetcher.committed(&committed),
                Err(error) => self.interrupt = Some(Err(ConsumerError::Group(error))),
            }
        }
        let homeless: Vec<_> = fetcher.without_position();
        // Before the application has heard of an assignment, it may want to seek.
        if self.asked.is_none() && self.interrupt.is_none() && !homeless.is_empty() {
            self.asked = Some(offsets.query(homeless));
            both.wake_driver();
        }
    }
    fn auto_commit(&mut self, both: &mut Both, now: Now, fetcher: &Fetcher) {
        let Some(interval_ms) = self.auto_commit_ms else { return };
        if self.auto_commit_ns > now.mono_ns || !matches!(self.giving_up, GivingUp::Idle) {
            return;
        }
        self.auto_commit_ns = now.after_ms(interval_ms);
        let offsets = fetcher.consumed();
        if self.unattended.values().any(|(_, why)| *why == Why::Auto) || offsets.is_empty() {
            return;
        }
        if let Ok(id) = both.membership.commit(offsets.clone(), false) {
            self.unattended.insert(id, (offsets, Why::Auto));
            both.wake_driver();
        }
    }

    /// Commits; the outcome comes by [`Self::outcome`].
    pub fn commit(&mut self, offsets: OffsetMap) -> Result<(), CommitError> {
        let mut both = self.shared.state.lock();
        if let Some(earlier) = self.waited.take() {
            both.membership.offsets.forget(earlier);
        }
        self.waited = Some(both.membership.commit(offsets, true)?);
        both.wake_driver();
        Ok(())
    }
    pub fn outcome(&mut self) -> Option<Result<(), CommitError>> {
        let id = self.waited?;
        self.shared.state.lock().membership.offsets.take_commit(id)
    }
    /// See [`Consumer::commit_was_repeated`](super::super::Consumer::commit_was_repeated).
    pub fn commit_was_repeated(&self) -> bool {
        self.shared.state.lock().membership.offsets.repeated
    }
    /// Asks for committed offsets; the answer comes by [`Self::answer`].
    pub fn query(&mut self, partitions: &[TopicPartition]) {
        let partitions: BTreeSet<_> = partitions.iter().cloned().collect();
        let mut both = self.shared.state.lock();
        if let Some(earlier) = self.waited.take() {
            both.membership.offsets.forget(earlier);
        }
        self.waited = Some(both.membership.offsets.query(partitions.into_iter().collect()));
        both.wake_driver();
    }
    pub fn answer(&mut self) -> Option<Result<OffsetMap, CommitError>> {
        let id = self.waited?;
        let answer = self.shared.state.lock().membership.offsets.take_answer(id)?;
        Some(answer.map_err(CommitError::Broker))
    }
    /// Commits while nobody waits; what comes of it is among the outcomes.
    pub fn commit_unattended(&mut self, offsets: OffsetMap) {
        let mut both = self.shared.state.lock();
        match both.membership.commit(offsets.clone(), false) {
            Ok(id) => {
                self.unattended.insert(id, (offsets, Why::Asked));
                both.wake_driver();
            }
            Err(error) => self.outcomes.push((offsets, Err(error))),
        }
    }
    /// True once nothing is on its way that nobody waits for.
    pub fn is_idle(&mut self) -> bool {
        self.sweep();
        self.unattended.is_empty()
    }
    /// What is to be committed before the consumer goes.
    pub fn last_commit(&self, fetcher: &Fetcher) -> Option<OffsetMap> {
        self.auto_commit_ms.map(|_| fetcher.consumed()).filter(|offsets| !offsets.is_empty())
    }
    pub fn leave(&mut self) {
        let mut both = self.lock();
        both.membership.subscribe(BTreeSet::new());
        both.membership.leave("the consumer is being closed");
        both.wake_driver();
    }
    /// True once the coordinator has heard that this member leaves, if it had to.
    pub fn has_left(&self) -> bool {
        self.lock().membership.leaves == 0
    }
}
