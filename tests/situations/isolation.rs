//! Nodes share nothing but sockets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ktrial::base::{BrokerId, TopicPartition};
use ktrial::broker::config::BrokerConfig;
use ktrial::broker::node::NodeError;
use ktrial::broker::probe::{Event, Observer};
use ktrial::io::sim::{self, WorldConfig};
use ktrial::io::time;
use ktrial::world::Watch;
use ktrial::world::cluster::{Cluster, ClusterPlan};
use ktrial::world::history::Op;
use parking_lot::Mutex;

/// Keeps what each node says of its image and its logs.
#[derive(Default)]
struct Notes {
    /// Events by node that can only come from somebody else's word: commits, applied metadata, leaderships.
    advances: Mutex<BTreeMap<BrokerId, usize>>,
}

impl Observer for Notes {
    fn observe(&self, node: BrokerId, event: Event) {
        let advances = matches!(
            event,
            Event::RaftCommitted { .. }
                | Event::MetadataApplied { .. }
                | Event::LogAppended { .. }
                | Event::HighWatermark { .. }
                | Event::PartitionChanged { .. }
                | Event::ControllerActive { .. }
        );
        if advances {
            *self.advances.lock().entry(node).or_default() += 1;
        }
    }
}

impl Watch for Notes {
    fn node_down(&self, _node: BrokerId, _storage_fault: bool) {}
    fn node_failed(&self, _node: BrokerId, _error: &NodeError) {}
    fn node_stands(&self, _: BrokerId, _: bool) {}
    fn disk_harmed(&self, _node: BrokerId) {}
    fn client_down(&self, _name: &str) {}
    fn record(&self, _op: Op) {}
    fn gave_up(&self, _tp: &TopicPartition, _ago_ns: u64, _setting: &str) {}
}

fn three_brokers() -> ClusterPlan {
    let brokers: BTreeMap<_, _> = (1..=3).map(|id| (BrokerId(id), BrokerConfig::default())).collect();
    ClusterPlan { voters: brokers.keys().copied().collect(), brokers, ..ClusterPlan::default() }
}

#[test]
fn with_all_links_cut_no_brokers_image_or_log_advances() {
    let run = sim::run(1, WorldConfig::default(), |world| async move {
        let notes = Arc::new(Notes::default());
        let cluster = Cluster::new(&world, &three_brokers(), notes.clone());
        for id in 1..=3 {
            cluster.start(BrokerId(id)).await;
        }
        time::sleep(Duration::from_secs(30)).await;
        let formed = notes.advances.lock().clone();
        for id in 1..=3 {
            cluster.isolate(BrokerId(id));
        }
        // What a node has received already it may still digest.
        time::sleep(Duration::from_secs(1)).await;
        let before = notes.advances.lock().clone();
        time::sleep(Duration::from_secs(120)).await;
        let after = notes.advances.lock().clone();
        cluster.heal_all();
        time::sleep(Duration::from_secs(60)).await;
        let healed = notes.advances.lock().clone();
        (formed, before, after, healed)
    });
    let (formed, before, after, healed) = run.outcome.expect("nothing panics");
    assert_eq!(formed.len(), 3, "every broker took part: {formed:?}");
    assert_eq!(before, after, "a broker learned something over a cut link");
    for (id, n) in &after {
        assert!(healed[id] > *n, "broker {id} does not go on after healing");
    }
}
