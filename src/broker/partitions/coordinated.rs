//! What coordinators need, who keep their books in a partition that this broker leads.

use std::future::Future;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::Partitions;
use super::api::{BoxFuture, ProduceOutcome, Role, TopicRef};
use crate::base::{LeaderEpoch, Offset, TopicPartition};
use crate::log::batch::{validate_for_log, validate_produce};
use crate::replica::{Acks, ProduceToken};

/// Ends when the in-sync replicas have what was appended, or with the reason why this will not be.
pub type Append = BoxFuture<Result<(), ResponseError>>;

/// A partition that this broker leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// Epoch of the leadership.
    pub epoch: LeaderEpoch,
    /// The first offset.
    pub log_start: Offset,
    /// The offset after the last.
    pub log_end: Offset,
}

impl Partitions {
    /// This broker's leadership of a partition, if its log is open and it leads.
    #[must_use]
    pub fn leadership(&self, tp: &TopicPartition) -> Option<Leadership> {
        let partition = self.find(&TopicRef::Name(tp.topic.clone()), tp.partition).ok()?;
        let view = partition.view();
        let leads = view.role == Role::Leader;
        leads.then_some(Leadership { epoch: view.leader_epoch, log_start: view.log_start, log_end: view.log_end })
    }
    /// Appends one batch in one leadership, before this returns. What is returned waits for the in-sync replicas, without limit:
    /// it ends at the latest with the leadership.
    ///
    /// # Errors
    /// Nothing was appended, and never will be.
    pub fn append(&self, tp: &TopicPartition, epoch: LeaderEpoch, batch: &Bytes) -> Result<Append, ResponseError> {
        let partition = self.find(&TopicRef::Name(tp.topic.clone()), tp.partition)?;
        let config = partition.log_config();
        let batch = validate_produce(batch, config.max_message_bytes as usize).map_err(|e| e.code())?;
        validate_for_log(&batch, &config).map_err(|e| e.code())?;
        let appended = partition.append_in(Some(epoch), Acks::All, batch)?;
        if appended.done {
            return Ok(Box::pin(std::future::ready(Ok(()))));
        }
        let outcome = ProduceOutcome {
            error: None,
            base_offset: appended.base,
            log_start: appended.log_start,
            log_append_time_ms: -1,
            current_leader: None,
        };
        let (request, answer) = self.shared.requests.add_produce(u64::MAX, vec![outcome], vec![true]);
        let token = ProduceToken { request, part: 0 };
        partition.with(|core, _, out| core.await_produce(token, appended.epoch, appended.next, Acks::All, out));
        Ok(Box::pin(settled(answer)))
    }
}

async fn settled(
    answer: impl Future<Output = Result<Vec<ProduceOutcome>, tokio::sync::oneshot::error::RecvError>> + Send,
) -> Result<(), ResponseError> {
    let outcomes = answer.await.map_err(|_| ResponseError::NotLeaderOrFollower)?;
    outcomes.first().and_then(|o| o.error).map_or(Ok(()), Err)
}
