//! The coordinator of a group dies: its successor knows the group's generation and every offset that was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, ListGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use ktrial::base::BrokerId;
use ktrial::broker::config::BrokerConfig;
use ktrial::io::sim::{self, WorldConfig};
use ktrial::io::time;
use ktrial::wire::api;
use ktrial::wire::conn::RpcConn;
use ktrial::world::cluster::{Cluster, ClusterPlan};
use parking_lot::Mutex;

use crate::support::Nobody;

const GROUP: &str = "billing";
const PATIENCE: Duration = Duration::from_secs(30);

/// What the member has seen so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Set once the first commit is acknowledged: who coordinated, in which generation.
    first: Option<(i32, i32)>,
    /// Who coordinates after the crash, and what it says of the generation and the offset.
    second: Option<(i32, i16, i64)>,
    commit_in_old_generation: Option<i16>,
    commit_in_this_generation: Option<i16>,
    groups: usize,
}

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

async fn ask<R: Request + Sync>(broker: i32, request: &R) -> Option<R::Response> {
    let mut conn = RpcConn::connect(&format!("broker-{broker}"), 9092, "member", Duration::from_secs(2)).await.ok()?;
    conn.call(api::own_version_of::<R>(), request, PATIENCE).await.ok()
}

async fn coordinator() -> i32 {
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(GROUP)]);
    loop {
        for broker in 1..=3 {
            if let Some(found) = ask(broker, &request).await
                && found.coordinators[0].error_code == 0
            {
                return found.coordinators[0].node_id.0;
            }
        }
        time::sleep(Duration::from_millis(200)).await;
    }
}

async fn join(id: &str) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(text(GROUP).into())
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    loop {
        let answer = ask(coordinator().await, &request).await;
        let again = |code| {
            code == ResponseError::CoordinatorLoadInProgress.code() || code == ResponseError::NotCoordinator.code()
        };
        match answer {
            Some(answer) if !again(answer.error_code) => return answer,
            _ => time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn sync(broker: i32, id: &str, generation: i32) -> (i16, Bytes) {
    let share = SyncGroupRequestAssignment::default().with_member_id(text(id)).with_assignment("share".into());
    let request = SyncGroupRequest::default()
        .with_group_id(text(GROUP).into())
        .with_generation_id(generation)
        .with_member_id(text(id))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(vec![share]);
    let answer = ask(broker, &request).await.expect("the coordinator lives");
    (answer.error_code, answer.assignment)
}

async fn commit(broker: i32, id: &str, generation: i32, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(text("orders").into()).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text(GROUP).into())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(id))
        .with_topics(vec![topic]);
    ask(broker, &request).await.expect("the coordinator lives").topics[0].partitions[0].error_code
}

async fn heartbeat(broker: i32, id: &str, generation: i32) -> Option<i16> {
    let request = HeartbeatRequest::default()
        .with_group_id(text(GROUP).into())
        .with_generation_id(generation)
        .with_member_id(text(id));
    ask(broker, &request).await.map(|r| r.error_code)
}

/// All offsets of the group, once the coordinator has loaded: there is one.
async fn committed(broker: i32) -> i64 {
    let group = OffsetFetchRequestGroup::default().with_group_id(text(GROUP).into()).with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    loop {
        if let Some(mut answer) = ask(broker, &request).await
            && answer.groups[0].error_code == 0
        {
            return answer.groups.swap_remove(0).topics.first().map_or(-1, |t| t.partitions[0].committed_offset);
        }
        time::sleep(Duration::from_millis(200)).await;
    }
}

async fn member(seen: Arc<Mutex<Seen>>) {
    let topic = MetadataRequestTopic::default().with_name(Some(text("orders").into()));
    let create = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    while ask(1, &create).await.is_none_or(|m| m.topics[0].error_code != 0) {
        time::sleep(Duration::from_millis(500)).await;
    }
    let given = join("").await;
    assert_eq!(given.error_code, ResponseError::MemberIdRequired.code());
    let id = given.member_id.to_string();
    let joined = join(&id).await;
    assert_eq!((joined.error_code, joined.leader.as_str(), joined.members.len()), (0, &*id, 1));
    let (broker, generation) = (coordinator().await, joined.generation_id);
    assert_eq!(sync(broker, &id, generation).await, (0, Bytes::from("share")));
    assert_eq!(commit(broker, &id, generation, 42).await, 0);
    seen.lock().first = Some((broker, generation));

    let successor = loop {
        time::sleep(Duration::from_secs(1)).await;
        let now = coordinator().await;
        if now != broker && heartbeat(now, &id, generation).await == Some(0) {
            break now;
        }
    };
    let offset = committed(successor).await;
    let beat = heartbeat(successor, &id, generation).await.expect("the successor lives");
    let old = commit(successor, &id, generation - 1, 7).await;
    let this = commit(successor, &id, generation, 43).await;
    let listed = ask(successor, &ListGroupsRequest::default()).await.expect("the successor lives");
    let mut seen = seen.lock();
    seen.groups = listed.groups.len();
    (seen.commit_in_old_generation, seen.commit_in_this_generation) = (Some(old), Some(this));
    seen.second = Some((successor, beat, offset));
}

fn three_brokers() -> ClusterPlan {
    let mut config = BrokerConfig::default();
    config.set("offsets.topic.num.partitions", "4").unwrap();
    config.set("min.insync.replicas", "2").unwrap();
    config.set("default.replication.factor", "3").unwrap();
    let brokers: BTreeMap<_, _> = (1..=3).map(|id| (BrokerId(id), config.clone())).collect();
    ClusterPlan { voters: brokers.keys().copied().collect(), brokers, ..ClusterPlan::default() }
}

#[test]
fn the_successor_of_a_dead_coordinator_knows_generation_and_offsets() {
    for seed in 1..=5 {
        let run = sim::run(seed, WorldConfig::default(), move |world| async move {
            let cluster = Cluster::new(&world, &three_brokers(), Arc::new(Nobody));
            for id in 1..=3 {
                cluster.start(BrokerId(id)).await;
            }
            let seen = Arc::new(Mutex::new(Seen::default()));
            let of_member = seen.clone();
            cluster.run_client("member", 0, move || member(of_member.clone())).await;
            for second in 0..120 {
                time::sleep(Duration::from_secs(1)).await;
                let first = seen.lock().first;
                if let Some((broker, _)) = first {
                    // Half of the runs take the host away, half the process alone.
                    if seed % 2 == 0 {
                        cluster.power_cut(BrokerId(broker))
                    } else {
                        assert!(cluster.crash(BrokerId(broker)), "it coordinated a moment ago");
                    }
                    break;
                }
                assert!(second < 119, "the group never formed");
            }
            for _ in 0..60 {
                time::sleep(Duration::from_secs(1)).await;
                if seen.lock().second.is_some() {
                    break;
                }
            }
            seen.lock().clone()
        });
        let seen = run.outcome.expect("nothing panics");
        let (first, _) = seen.first.expect("a first coordinator");
        let (second, beat, offset) = seen.second.unwrap_or_else(|| panic!("seed {seed}: no successor: {seen:?}"));
        assert_ne!(first, second);
        assert_eq!((beat, offset), (0, 42), "seed {seed}: generation and offset survive");
        assert_eq!(seen.commit_in_old_generation, Some(ResponseError::IllegalGeneration.code()));
        assert_eq!(seen.commit_in_this_generation, Some(0));
        assert_eq!(seen.groups, 1);
    }
}
