//! Whoever runs a cluster moves it about while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use ktrial::base::{BrokerId, TopicPartition};
use ktrial::broker::config::BrokerConfig;
use ktrial::client::admin::{Admin, AdminError, Election, Entry, NewTopic, Resource};
use ktrial::client::config::AdminConfig;
use ktrial::io::sim::{self, WorldConfig};
use ktrial::io::time;
use ktrial::world::cluster::{Cluster, ClusterPlan};
use parking_lot::Mutex;

use crate::support::Nobody;

/// Three voters and two brokers that do not vote.
fn five_brokers() -> ClusterPlan {
    let brokers: BTreeMap<_, _> = (1..=5).map(|id| (BrokerId(id), BrokerConfig::default())).collect();
    ClusterPlan { voters: (1..=3).map(BrokerId).collect(), brokers, ..ClusterPlan::default() }
}

fn ids<const N: usize>(ids: [i32; N]) -> Vec<BrokerId> {
    ids.map(BrokerId).to_vec()
}

/// Tells a story on a cluster of five with one topic on brokers 1, 2 and 3.
fn with_admin<F, Fut>(story: F)
where
    F: Fn(Admin) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let run = sim::run(3, WorldConfig::default(), |world| async move {
        let cluster = Cluster::new(&world, &five_brokers(), Arc::new(Nobody));
        for id in 1..=5 {
            cluster.start(BrokerId(id)).await;
        }
        time::sleep(Duration::from_secs(20)).await;
        let done = Arc::new(Mutex::new(false));
        let (told, story, servers) = (done.clone(), Arc::new(story), cluster.bootstrap());
        cluster
            .run_client("admin", 0, move || {
                let (told, story, servers) = (told.clone(), story.clone(), servers.clone());
                async move {
                    let mut config = AdminConfig::default();
                    config.set("bootstrap.servers", &servers).unwrap();
                    let mut admin = Admin::new(config).unwrap();
                    let topic = NewTopic { name: "t".into(), assignments: vec![ids([1, 2, 3])], ..NewTopic::default() };
                    admin.create_topics(&[topic]).await.unwrap()[0].unwrap();
                    story(admin).await;
                    *told.lock() = true;
                }
            })
            .await;
        time::sleep(Duration::from_secs(200)).await;
        *done.lock()
    });
    assert!(run.outcome.expect("nothing panics"), "the story was not told to its end");
}

fn t0() -> TopicPartition {
    TopicPartition::new("t", 0)
}

async fn leader(admin: &mut Admin) -> BrokerId {
    let described = admin.describe_topics(Some(&["t".into()])).await.unwrap().remove(0).1.unwrap();
    described.partitions[0].leader
}

#[test]
fn a_partition_moves_to_new_brokers_and_its_leadership_with_it() {
    with_admin(|mut admin| async move {
        let wish = BTreeMap::from([(t0(), Some(ids([4, 5, 3])))]);
        assert_eq!(admin.alter_reassignments(&wish).await.unwrap(), [Ok(())]);
        let mut waited = 0;
        while !admin.list_reassignments().await.unwrap().is_empty() {
            waited += 1;
            assert!(waited < 60, "the move does not end");
            time::sleep(Duration::from_secs(1)).await;
        }
        time::sleep(Duration::from_secs(2)).await;
        assert_eq!(leader(&mut admin).await, BrokerId(4));
        let refused = admin.elect_leader(&t0(), Election::Preferred).await;
        assert_eq!(refused, Err(AdminError::Broker(ResponseError::ElectionNotNeeded)));
        let cancel = BTreeMap::from([(t0(), None)]);
        let nothing = Err(ResponseError::NoReassignmentInProgress);
        assert_eq!(admin.alter_reassignments(&cancel).await.unwrap(), [nothing]);
    });
}

#[test]
fn a_topic_grows_and_its_settings_change_while_it_is_used() {
    with_admin(|mut admin| async move {
        admin.create_partitions(&"t".into(), 3, None).await.unwrap();
        let again = admin.create_partitions(&"t".into(), 2, None).await;
        assert_eq!(again, Err(AdminError::Broker(ResponseError::InvalidPartitions)));
        let topic = Resource::Topic("t".into());
        let set = BTreeMap::from([("max.message.bytes".to_owned(), Some("1000".to_owned()))]);
        admin.alter_configs(&topic, &set).await.unwrap();
        let all = BTreeMap::from([("min.insync.replicas".to_owned(), Some("2".to_owned()))]);
        admin.alter_configs(&Resource::AllBrokers, &all).await.unwrap();
        time::sleep(Duration::from_secs(2)).await;
        let seen = admin.describe_configs(&topic).await.unwrap();
        let entry = |key: &str| (seen[key].value.clone().unwrap(), seen[key].source);
        assert_eq!(entry("max.message.bytes"), ("1000".to_owned(), 1));
        assert_eq!(entry("min.insync.replicas"), ("2".to_owned(), 3));
        assert_eq!(entry("retention.ms"), ("604800000".to_owned(), 5));
        let broker = admin.describe_configs(&Resource::Broker(BrokerId(4))).await.unwrap();
        assert_eq!(broker["min.insync.replicas"].value.as_deref(), Some("2"));
        let bad = BTreeMap::from([("retention.ms".to_owned(), Some("soon".to_owned()))]);
        let refused = admin.alter_configs(&topic, &bad).await;
        assert_eq!(refused, Err(AdminError::Broker(ResponseError::InvalidConfig)));
        let cluster = admin.describe_cluster().await.unwrap();
        assert_eq!(cluster.brokers.len(), 5);
        let unknown = admin.unregister_broker(BrokerId(9)).await;
        assert_eq!(unknown, Err(AdminError::Broker(ResponseError::BrokerIdNotRegistered)));
    });
}

#[test]
fn a_throttle_is_described_where_it_was_set() {
    const REPLICAS: &str = "leader.replication.throttled.replicas";
    const RATE: &str = "leader.replication.throttled.rate";
    with_admin(|mut admin| async move {
        let (topic, broker) = (Resource::Topic("t".into()), Resource::Broker(BrokerId(4)));
        let replicas = BTreeMap::from([(REPLICAS.to_owned(), Some("0:1,0:2".to_owned()))]);
        admin.alter_configs(&topic, &replicas).await.unwrap();
        let rate = BTreeMap::from([(RATE.to_owned(), Some("1000".to_owned()))]);
        admin.alter_configs(&Resource::AllBrokers, &rate).await.unwrap();
        time::sleep(Duration::from_secs(2)).await;
        let of = |entry: &Entry| (entry.value.clone().unwrap(), entry.source);
        let seen = admin.describe_configs(&topic).await.unwrap();
        assert_eq!(of(&seen[REPLICAS]), ("0:1,0:2".to_owned(), 1));
        assert_eq!(of(&seen["follower.replication.throttled.replicas"]), (String::new(), 5));
        let seen = admin.describe_configs(&broker).await.unwrap();
        assert_eq!(of(&seen[RATE]), ("1000".to_owned(), 3));
        assert_eq!(of(&seen["follower.replication.throttled.rate"]), (i64::MAX.to_string(), 5));
        assert_eq!(of(&seen["replication.quota.window.num"]), ("11".to_owned(), 5));
        assert!(!seen.contains_key(REPLICAS), "brokers have no such list");
    });
}
