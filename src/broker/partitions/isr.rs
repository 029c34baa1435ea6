//! ISR changes on their way to the controller (`AlterPartitionManager`): one request in flight per broker, which
//! carries whatever has been asked for meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages::alter_partition_response;
use kafka_protocol::messages::{self, AlterPartitionRequest, AlterPartitionResponse};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::api::ControllerRpc;
use super::partition::Partition;
use super::shared::Shared;
use crate::base::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicId};
use crate::io::time;
use crate::replica::{IsrAnswer, IsrProposal};

/// The newest proposal of each partition.
type Proposals = BTreeMap<(TopicId, i32), (Arc<Partition>, IsrProposal)>;

/// Who asks, and for what.
type Waiting = (Weak<Partition>, IsrProposal);

/// Proposals that are not under way yet.
#[derive(Debug, Default)]
pub(super) struct IsrQueue {
    /// Partitions hold this queue, by what they share, and so it may not hold them.
    waiting: Mutex<BTreeMap<(TopicId, i32), Waiting>>,
    ring: Notify,
}

impl IsrQueue {
    /// Takes a proposal in; it replaces an older one of the same partition.
    pub fn push(&self, partition: &Arc<Partition>, proposal: IsrProposal) {
        let key = (partition.topic_id, partition.tp.partition);
        self.waiting.lock().insert(key, (Arc::downgrade(partition), proposal));
        self.ring.notify_one();
    }
    fn take(&self) -> Proposals {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().filter_map(|(key, (p, proposal))| Some((key, (p.upgrade()?, proposal)))).collect()
    }
}

/// Sends proposals for as long as the broker lives.
pub(super) async fn run(shared: Arc<Shared>, controller: Arc<dyn ControllerRpc>) {
    loop {
        shared.isr.ring.notified().await;
        let proposals = shared.isr.take();
        if proposals.is_empty() {
            continue;
        }
        let settled = match controller.alter_partition(request(&shared, &proposals)).await {
            Ok(response) => answer_all(&proposals, &response),
            Err(error) => {
                tracing::debug!(%error, "no answer to AlterPartition");
                refuse_all(&proposals, ResponseError::NetworkException);
                false
            }
        };
        if !settled {
            time::sleep(Duration::from_millis(shared.config.alter_partition_backoff_ms)).await;
        }
    }
}

fn request(shared: &Shared, proposals: &Proposals) -> AlterPartitionRequest {
    let mut request = AlterPartitionRequest::default();
    request.broker_id = messages::BrokerId(shared.config.id.0);
    request.broker_epoch = shared.broker_epoch().0;
    for ((topic_id, partition), (_, proposal)) in proposals {
        if request.topics.last().is_none_or(|t| t.topic_id != *topic_id) {
            request.topics.push(TopicData::default().with_topic_id(*topic_id));
        }
        let topic = request.topics.last_mut().expect("a topic was pushed");
        topic.partitions.push(partition_data(*partition, proposal));
    }
    request
}

fn partition_data(partition: i32, proposal: &IsrProposal) -> PartitionData {
    let member = |(id, epoch): &(BrokerId, BrokerEpoch)| {
        BrokerState::default().with_broker_id(messages::BrokerId(id.0)).with_broker_epoch(epoch.0)
    };
    PartitionData::default()
        .with_partition_index(partition)
        .with_leader_epoch(proposal.leader_epoch.0)
        .with_partition_epoch(proposal.partition_epoch.0)
        .with_new_isr_with_epochs(proposal.isr.iter().map(member).collect())
}

/// Hands the answers out. Returns false if the next request had better wait a moment.
fn answer_all(proposals: &Proposals, response: &AlterPartitionResponse) -> bool {
    if let Some(error) = ResponseError::try_from_code(response.error_code) {
        tracing::debug!(?error, "AlterPartition was refused");
        refuse_all(proposals, error);
        return false;
    }
    let mut settled = true;
    for (key, (partition, proposal)) in proposals {
        let result = match find(response, key) {
            Some(data) => outcome(data),
            None => Err(ResponseError::UnknownServerError),
        };
        settled &= result.is_ok();
        partition.with(|core, ctx, out| core.isr_answer(ctx, proposal.id, result, out));
    }
    settled
}

fn refuse_all(proposals: &Proposals, error: ResponseError) {
    for (partition, proposal) in proposals.values() {
        partition.with(|core, ctx, out| core.isr_answer(ctx, proposal.id, Err(error), out));
    }
}

fn find<'a>(
    response: &'a AlterPartitionResponse,
    (topic_id, partition): &(TopicId, i32),
) -> Option<&'a alter_partition_response::PartitionData> {
    let topic = response.topics.iter().find(|t| t.topic_id == *topic_id)?;
    topic.partitions.iter().find(|p| p.partition_index == *partition)
}

fn outcome(data: &alter_partition_response::PartitionData) -> Result<IsrAnswer, ResponseError> {
    match ResponseError::try_from_code(data.error_code) {
        Some(error) => Err(error),
        None => Ok(IsrAnswer {
            leader_epoch: LeaderEpoch(data.leader_epoch),
            partition_epoch: PartitionEpoch(data.partition_epoch),
            isr: data.isr.iter().map(|id| BrokerId(id.0)).collect(),
        }),
    }
}
