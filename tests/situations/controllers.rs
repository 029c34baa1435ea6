//! Controllers that are nodes of their own, and what they tell of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::{DescribeClusterRequest, DescribeQuorumRequest, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use ktrial::base::{BrokerId, TopicPartition};
use ktrial::broker::config::BrokerConfig;
use ktrial::client::admin::{Admin, NewTopic};
use ktrial::client::config::AdminConfig;
use ktrial::io::sim::{self, WorldConfig};
use ktrial::io::{clock, time};
use ktrial::wire::conn::RpcConn;
use ktrial::world::cluster::{Cluster, ClusterPlan};
use parking_lot::Mutex;

use crate::support::Nobody;

const CONTROLLERS: [i32; 3] = [1001, 1002, 1003];

fn ids<const N: usize>(ids: [i32; N]) -> Vec<BrokerId> {
    ids.map(BrokerId).to_vec()
}

/// Three brokers, and three controllers that are nodes of their own.
fn apart() -> ClusterPlan {
    let configured = |id: i32| (BrokerId(id), BrokerConfig::default());
    ClusterPlan {
        voters: ids(CONTROLLERS),
        brokers: (1..=3).map(configured).collect(),
        controllers: CONTROLLERS.into_iter().map(configured).collect(),
        ..ClusterPlan::default()
    }
}

/// Tells a story on a client's host of such a cluster that has formed.
fn tell<F, Fut>(story: F)
where
    F: Fn(Arc<Cluster>, Admin) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let run = sim::run(5, WorldConfig::default(), |world| async move {
        let cluster = Arc::new(Cluster::new(&world, &apart(), Arc::new(Nobody)));
        for id in cluster.nodes().collect::<Vec<_>>() {
            cluster.start(id).await;
        }
        time::sleep(Duration::from_secs(20)).await;
        let done = Arc::new(Mutex::new(false));
        let (told, story, of) = (done.clone(), Arc::new(story), cluster.clone());
        let program = move || {
            let (told, story, cluster) = (told.clone(), story.clone(), of.clone());
            async move {
                let mut config = AdminConfig::default();
                config.set("bootstrap.servers", &cluster.bootstrap()).unwrap();
                story(cluster, Admin::new(config).unwrap()).await;
                *told.lock() = true;
            }
        };
        cluster.run_client("admin", 0, program).await;
        time::sleep(Duration::from_secs(100)).await;
        *done.lock()
    });
    assert!(run.outcome.expect("nothing panics"), "the story was not told to its end");
}

async fn ask<R: Request + Sync>(controller: BrokerId, version: i16, request: &R) -> R::Response {
    let wait = Duration::from_secs(5);
    let mut conn =
        RpcConn::connect(&format!("controller-{controller}"), 9093, "tests", wait).await.expect("it listens");
    conn.call(version, request, wait).await.expect("it answers")
}

fn about(topic: &'static str, partition: i32) -> DescribeQuorumRequest {
    let partitions = vec![PartitionData::default().with_partition_index(partition)];
    let name = TopicName(StrBytes::from_static_str(topic));
    DescribeQuorumRequest::default()
        .with_topics(vec![TopicData::default().with_topic_name(name).with_partitions(partitions)])
}

#[test]
fn brokers_observe_what_controllers_decide_and_the_leader_knows_how_far_each_is() {
    tell(|_, mut admin| async move {
        let quorum = admin.describe_quorum().await.unwrap();
        assert_eq!(quorum.voters.keys().copied().collect::<Vec<_>>(), ids(CONTROLLERS));
        assert_eq!(quorum.observers.keys().copied().collect::<Vec<_>>(), ids([1, 2, 3]));
        assert!(quorum.voters.contains_key(&quorum.leader), "{quorum:?}");
        let (now, committed) = (clock::now().wall_ms, quorum.high_watermark.expect("long known").0);
        for (id, replica) in quorum.voters.iter().chain(&quorum.observers) {
            let (fetched, caught_up) = (replica.last_fetch_ms.unwrap(), replica.last_caught_up_ms.unwrap());
            // A fetch waits half a second at most; a record comes every half second.
            assert!(
                fetched >= caught_up && (now - 1_500..=now + 100).contains(&caught_up),
                "{id}: {replica:?} at {now}"
            );
            assert!((committed - 2..=committed + 2).contains(&replica.log_end.unwrap().0), "{id}: {replica:?}");
        }
        let listeners: Vec<_> = quorum.nodes.values().map(|(host, port)| format!("{host}:{port}")).collect();
        assert_eq!(listeners, ["controller-1001:9093", "controller-1002:9093", "controller-1003:9093"]);
    });
}

#[test]
fn only_the_leader_describes_the_quorum_and_only_the_quorums_own_log() {
    tell(|_, mut admin| async move {
        let leader = admin.describe_quorum().await.unwrap().leader;
        for id in ids(CONTROLLERS) {
            for version in 0..=2 {
                let answer = ask(id, version, &about("__cluster_metadata", 0)).await;
                let partition = &answer.topics[0].partitions[0];
                let refused = ResponseError::try_from_code(partition.error_code);
                let expected = (id != leader).then_some(ResponseError::NotLeaderOrFollower);
                assert_eq!((answer.error_code, refused), (0, expected), "controller {id}, version {version}");
                assert_eq!(answer.nodes.len(), if id == leader && version == 2 { 3 } else { 0 });
            }
        }
        for (topic, partition) in [("t", 0), ("__cluster_metadata", 1)] {
            let answer = ask(leader, 2, &about(topic, partition)).await;
            let error = ResponseError::try_from_code(answer.topics[0].partitions[0].error_code);
            assert_eq!(error, Some(ResponseError::UnknownTopicOrPartition), "{topic}-{partition}");
        }
    });
}

#[test]
fn the_quorum_is_described_by_the_next_leader_when_one_dies() {
    tell(|cluster, mut admin| async move {
        let before = admin.describe_quorum().await.unwrap();
        cluster.power_cut(before.leader);
        time::sleep(Duration::from_secs(8)).await;
        let after = admin.describe_quorum().await.unwrap();
        assert!(after.epoch > before.epoch && after.leader != before.leader, "{before:?}, then {after:?}");
        let silent = after.voters[&before.leader];
        assert_eq!((silent.log_end, silent.last_fetch_ms, silent.last_caught_up_ms), (None, None, None));
        cluster.start(before.leader).await;
        time::sleep(Duration::from_secs(8)).await;
        let back = admin.describe_quorum().await.unwrap().voters[&before.leader];
        assert!(back.last_caught_up_ms.is_some_and(|at| at > clock::now().wall_ms - 1_500), "{back:?}");
    });
}

#[test]
fn every_controller_registers_at_the_active_one_and_all_of_them_know_it() {
    tell(|cluster, mut admin| async move {
        let leader = admin.describe_quorum().await.unwrap().leader;
        for id in ids(CONTROLLERS) {
            let answer = ask(id, 2, &DescribeClusterRequest::default().with_endpoint_type(2)).await;
            let known: BTreeMap<_, _> =
                answer.brokers.iter().map(|c| (c.broker_id.0, format!("{}:{}", c.host, c.port))).collect();
            let expected = CONTROLLERS.map(|id| (id, format!("controller-{id}:9093")));
            assert_eq!((known, answer.controller_id.0), (expected.into(), leader.0), "as controller {id} knows it");
            let of_brokers = ask(id, 2, &DescribeClusterRequest::default().with_endpoint_type(1)).await;
            let refused = ResponseError::try_from_code(of_brokers.error_code);
            assert_eq!(refused, Some(ResponseError::MismatchedEndpointType));
        }
        // Brokers go on to show brokers.
        assert_eq!(admin.describe_cluster().await.unwrap().brokers.into_keys().collect::<Vec<_>>(), ids([1, 2, 3]));
        assert_eq!(cluster.brokers().count(), 3);
    });
}

#[test]
fn a_brokers_log_directory_shows_its_replicas_and_its_room() {
    tell(|_, mut admin| async move {
        let topic = NewTopic { name: "t".into(), assignments: vec![ids([1, 2]), ids([2, 3])], ..NewTopic::default() };
        admin.create_topics(&[topic]).await.unwrap()[0].unwrap();
        time::sleep(Duration::from_secs(2)).await;
        for (broker, held) in [(1, vec![0]), (2, vec![0, 1]), (3, vec![1])] {
            let dirs = admin.describe_log_dirs(BrokerId(broker)).await.unwrap();
            assert_eq!(dirs.keys().collect::<Vec<_>>(), ["/data"]);
            let dir = dirs["/data"].clone().unwrap();
            let expected: Vec<_> = held.into_iter().map(|index| TopicPartition::new("t", index)).collect();
            assert_eq!(dir.replicas.keys().cloned().collect::<Vec<_>>(), expected, "broker {broker}");
            assert!(dir.replicas.values().all(|r| (r.size, r.offset_lag, r.is_future) == (0, 0, false)));
            let (total, usable) = (dir.total_bytes.unwrap(), dir.usable_bytes.unwrap());
            assert!(total == 1 << 40 && usable < total && usable > total - (1 << 20), "{usable} of {total}");
        }
    });
}
