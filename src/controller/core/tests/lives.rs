//! Random lives of a cluster: brokers crash, stop, come back and fall silent, leaders propose, controllers change; at every
//! moment the controller's state is legal (CTRL-STATE), and once everybody is back every partition is led.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use proptest::prelude::*;

use super::cluster::{Cluster, b, config, named};
use crate::base::{BrokerEpoch, TopicId};
use crate::controller::core::ControllerConfig;
use crate::controller::image::{Changes, Image, Partition};

const BROKERS: i32 = 4;
const MIN_ISR: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// The broker loses power.
    Crash(i32),
    /// The broker asks to shut down until it may.
    Stop(i32),
    /// The broker starts, if it is down.
    Start(i32),
    /// The network hides the broker from the controller, or no longer.
    Hide(i32),
    /// Seconds pass; whoever can beats every second.
    Wait(u64),
    /// The leader of the n-th partition proposes those of its replicas that the mask picks.
    Propose(usize, u8),
    /// A topic is created with that many replicas.
    Create(i16),
    /// The n-th topic is deleted.
    Delete(usize),
    /// The first partition of the n-th topic is to move to the brokers of the mask, or back.
    Reassign(usize, u8),
    /// The n-th topic gets another `min.insync.replicas`.
    Configure(usize, usize),
    /// An election of the n-th topic's partition is asked for: preferred, or unclean.
    Elect(usize, bool),
    /// Another controller takes over.
    Failover,
}

fn step() -> impl Strategy<Value = Step> {
    let broker = || 0..BROKERS;
    prop_oneof![
        3 => broker().prop_map(Step::Crash),
        2 => broker().prop_map(Step::Stop),
        6 => broker().prop_map(Step::Start),
        2 => broker().prop_map(Step::Hide),
        6 => (1..12u64).prop_map(Step::Wait),
        8 => (0..6usize, any::<u8>()).prop_map(|(n, mask)| Step::Propose(n, mask)),
        2 => (1..4i16).prop_map(Step::Create),
        1 => (0..4usize).prop_map(Step::Delete),
        3 => (0..4usize, any::<u8>()).prop_map(|(n, mask)| Step::Reassign(n, mask)),
        1 => (0..4usize, 1..4usize).prop_map(|(n, min)| Step::Configure(n, min)),
        1 => (0..4usize, prop::bool::weighted(0.2)).prop_map(|(n, unclean)| Step::Elect(n, unclean)),
        1 => Just(Step::Failover),
    ]
}

#[derive(Default)]
struct Straw {
    up: bool,
    stopping: bool,
    hidden: bool,
    life: u64,
    registered: bool,
    /// What its clean-shutdown marker says.
    marker: i64,
    epoch: BrokerEpoch,
}

struct Life {
    cluster: Cluster,
    brokers: BTreeMap<i32, Straw>,
    topics: u32,
    elr: bool,
    before: Image,
}

impl Life {
    fn new(elr: bool, unclean: bool) -> Self {
        let config = ControllerConfig {
            eligible_leader_replicas: elr,
            unclean_leader_election: unclean,
            min_insync_replicas: MIN_ISR,
            ..config()
        };
        let cluster = Cluster::new(config);
        let brokers = (0..BROKERS).map(|id| (id, Straw::default())).collect();
        let before = cluster.image.clone();
        let mut life = Self { cluster, brokers, topics: 0, elr, before };
        for id in 0..BROKERS {
            life.start(id);
        }
        life.beat();
        life.create(3);
        life
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Crash(id) => self.crash(id),
            Step::Stop(id) => self.straw(id).stopping = true,
            Step::Start(id) => self.start(id),
            Step::Hide(id) => {
                let straw = self.straw(id);
                straw.hidden = !straw.hidden;
            }
            Step::Wait(seconds) => self.wait(seconds),
            Step::Propose(n, mask) => self.propose(n, mask),
            Step::Create(factor) => self.create(factor),
            Step::Delete(n) => self.delete(n),
            Step::Reassign(n, mask) => self.reassign(n, mask),
            Step::Configure(n, min) => self.configure(n, min),
            Step::Elect(n, unclean) => {
                if let Some(name) = self.topic(n) {
                    let _ = self.cluster.elect(i8::from(unclean), &name);
                }
            }
            Step::Failover => {
                self.cluster.resign();
                self.cluster.lead();
            }
        }
        self.check();
    }

    fn straw(&mut self, id: i32) -> &mut Straw {
        self.brokers.get_mut(&id).expect("there are that many brokers")
    }
    fn crash(&mut self, id: i32) {
        let straw = self.straw(id);
        (straw.up, straw.stopping, straw.registered, straw.marker) = (false, false, false, -1);
    }
    fn start(&mut self, id: i32) {
        let straw = self.straw(id);
        if !straw.up {
            (straw.up, straw.life) = (true, straw.life + 1);
        }
        self.try_register(id);
    }
    fn try_register(&mut self, id: i32) {
        let straw = &self.brokers[&id];
        if !straw.up || straw.registered || straw.hidden {
            return;
        }
        let (life, marker, last) = (straw.life, straw.marker, straw.epoch);
        let held = self.holders(id);
        if let Ok(epoch) = self.cluster.register(id, life, marker) {
            assert!(epoch > last, "broker epochs rise");
            let clean = marker == last.0;
            let straw = self.straw(id);
            (straw.registered, straw.marker, straw.epoch) = (true, -1, epoch);
            if !clean && self.elr {
                assert!(self.holders(id).is_empty(), "{id} lost power and still counts for {held:?}");
            }
        }
    }
    /// The partitions that count on what `id` holds.
    fn holders(&self, id: i32) -> BTreeSet<(TopicId, i32)> {
        let topics = self.cluster.image.topics();
        let all = topics.flat_map(|t| t.indexed().map(|(i, p)| ((t.id, i), p.clone())));
        all.filter(|(_, p)| p.isr.contains(&b(id)) || p.elr.contains(&b(id))).map(|(key, _)| key).collect()
    }
    fn beat(&mut self) {
        for id in 0..BROKERS {
            self.try_register(id);
            let straw = &self.brokers[&id];
            if !straw.registered || straw.hidden {
                continue;
            }
            let stopping = straw.stopping;
            let answer = self.cluster.heartbeat(self.cluster.pulse(id).with_want_shut_down(stopping)).unwrap();
            if answer.should_shut_down {
                assert!(stopping, "nobody asked to go");
                let straw = self.straw(id);
                (straw.up, straw.stopping, straw.registered) = (false, false, false);
                straw.marker = straw.epoch.0;
            }
        }
    }
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.cluster.pass(1_000);
            self.check();
            self.beat();
            self.check();
        }
    }
    fn propose(&mut self, n: usize, mask: u8) {
        let names: Vec<_> = self.cluster.image.topics().map(|t| t.name.clone()).collect();
        let Some(name) = names.get(n) else { return };
        let partition = self.cluster.partition(name);
        let leader = partition.leader.0;
        if !self.brokers.get(&leader).is_some_and(|s| s.registered && !s.hidden) {
            return;
        }
        let picked = partition.replicas.iter().enumerate().filter(|(i, id)| id.0 == leader || mask & (1 << i) != 0);
        let isr: Vec<i32> = picked.map(|(_, id)| id.0).collect();
        let all_active = isr.iter().all(|id| self.cluster.image.is_active(b(*id)));
        let request = self.cluster.proposal(name, &isr);
        let answer = self.cluster.alter(request);
        // The end of a move may take the leadership from whoever proposed it.
        let moving = partition.removing_replicas.contains(&b(leader));
        let accepted = answer.is_ok() || moving && answer == Err(ResponseError::NewLeaderElected);
        assert_eq!(accepted, all_active, "{isr:?} of {partition:?}");
    }
    fn create(&mut self, factor: i16) {
        self.topics += 1;
        let name = format!("t{}", self.topics);
        let some_active = (0..BROKERS).any(|id| self.cluster.image.is_active(b(id)));
        let created = self.cluster.create_topic(named(&name, 1, factor)).error_code == 0;
        assert!(some_active || !created, "a topic without a leader was created");
    }
    fn delete(&mut self, n: usize) {
        use kafka_protocol::messages::{DeleteTopicsRequest, TopicName};
        use kafka_protocol::protocol::StrBytes;
        let names: Vec<_> = self.cluster.image.topics().map(|t| t.name.to_string()).collect();
        let Some(name) = names.get(n) else { return };
        let names = vec![TopicName(StrBytes::from_string(name.clone()))];
        let request = DeleteTopicsRequest::default().with_topic_names(names);
        self.cluster.ask(crate::controller::core::Request::DeleteTopics(request));
        assert!(self.cluster.image.topic(name).is_none());
    }

    fn topic(&self, n: usize) -> Option<String> {
        self.cluster.image.topics().nth(n).map(|t| t.name.to_string())
    }
    fn reassign(&mut self, n: usize, mask: u8) {
        let Some(name) = self.topic(n) else { return };
        let picked: Vec<i32> = (0..BROKERS).filter(|id| mask & (1 << id) != 0).collect();
        if picked.is_empty() {
            // Refused where it would need an unclean election, or where nothing moves.
            let _ = self.cluster.reassign(&name, None);
            return;
        }
        let known = picked.iter().all(|id| self.cluster.image.broker(b(*id)).is_some());
        assert_eq!(self.cluster.reassign(&name, Some(&picked)).is_ok(), known, "{picked:?}");
    }
    fn configure(&mut self, n: usize, min: usize) {
        let Some(name) = self.topic(n) else { return };
        self.cluster.configure(2, &name, 0, "min.insync.replicas", Some(&min.to_string())).expect("it is legal");
    }

    /// CTRL-STATE, at this moment and against the moment before.
    fn check(&mut self) {
        let image = self.cluster.core.image().expect("it is active").clone();
        assert_eq!(image, self.cluster.image, "all that is proposed is committed, so both images agree");
        for topic in image.topics() {
            for (index, partition) in topic.indexed() {
                let min_isr = image.min_insync_replicas(&topic.name, b(0), partition.replicas.len(), MIN_ISR);
                self.check_partition(&image, partition, min_isr);
                if let Some(old) = self.before.partition_by_id(topic.id, index) {
                    check_epochs(old, partition);
                }
            }
        }
        self.before = image;
    }
    fn check_partition(&self, image: &Image, p: &Partition, min_isr: usize) {
        let replicas: BTreeSet<_> = p.replicas.iter().collect();
        for moving in [&p.adding_replicas, &p.removing_replicas] {
            assert!(moving.iter().all(|id| replicas.contains(id)), "what moves is no replica: {p:?}");
        }
        let held: Vec<_> = p.isr.iter().chain(&p.elr).collect();
        let distinct: BTreeSet<_> = held.iter().copied().collect();
        assert_eq!(distinct.len(), held.len(), "ISR and ELR overlap: {p:?}");
        assert!(distinct.is_subset(&replicas), "strangers: {p:?}");
        if p.has_leader() {
            assert!(p.isr.contains(&p.leader) && image.is_active(p.leader), "the leader is not in sync: {p:?}");
            assert!(p.last_known_elr.is_empty(), "a partition that is led remembers an old leader: {p:?}");
        }
        let sole = !self.elr && p.isr.len() == 1;
        assert!(sole || p.isr.iter().all(|id| image.is_active(*id)), "inactive in the ISR: {p:?}");
        if self.elr {
            assert_eq!(p.has_leader(), !p.isr.is_empty(), "an ISR of live replicas has no leader: {p:?}");
            let enough = p.isr.len() >= min_isr;
            assert!(!enough || p.elr.is_empty(), "the ISR is large enough: {p:?}");
        } else {
            assert!(!p.isr.is_empty() && p.elr.is_empty() && p.last_known_elr.is_empty(), "{p:?}");
        }
    }
    /// Everybody comes back; then every partition is led.
    fn heal(&mut self) {
        for id in 0..BROKERS {
            self.straw(id).hidden = false;
            if self.brokers[&id].stopping {
                self.crash(id);
            }
            self.start(id);
        }
        self.wait(22);
        for topic in self.cluster.image.topics() {
            assert!(topic.partitions.iter().all(|p| p.has_leader()), "{topic:?} is not led");
        }
        for id in 0..BROKERS {
            assert!(self.cluster.image.is_active(b(id)), "broker {id} stays fenced");
        }
    }
    fn replay(&self) -> Image {
        let mut image = Image::default();
        for (offset, record) in &self.cluster.log {
            image.apply(*offset, record, &mut Changes::default()).expect("the log replays");
        }
        image
    }
}

fn check_epochs(old: &Partition, new: &Partition) {
    assert!(new.leader_epoch >= old.leader_epoch && new.partition_epoch >= old.partition_epoch);
    if new.leader != old.leader {
        assert!(new.leader_epoch > old.leader_epoch, "{old:?} {new:?}");
    }
    if new != old {
        assert!(new.partition_epoch > old.partition_epoch, "{old:?} {new:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_controllers_state_is_legal_at_every_moment(
        elr in any::<bool>(),
        unclean in prop::bool::weighted(0.2),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut life = Life::new(elr, unclean);
        for step in &steps {
            life.apply(step);
        }
        life.heal();
        let mut replayed = life.replay();
        replayed.advance(life.cluster.image.next());
        prop_assert_eq!(replayed, life.cluster.image);
    }
}
