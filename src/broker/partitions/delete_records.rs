//! DeleteRecords: moves log starts up and waits until every live replica has followed (`ReplicaManager.deleteRecords`,
//! `DelayedDeleteRecords`).

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::Partitions;
use super::api::{DeleteRecordsOutcome, DeleteRecordsPartition};
use super::partition::Partition;
use super::produce::refused;
use crate::base::Offset;
use crate::io::clock;
use crate::replica::ProduceToken;

/// A log start that has moved on the leader alone.
struct Waiting {
    part: u32,
    partition: Arc<Partition>,
    need: Offset,
}

impl Partitions {
    /// Deletes what lies below each offset (-1: below the high watermark), and waits up to `timeout_ms` for the other
    /// live replicas. Outcomes stand at the indexes of their requests; a log start that has moved stays where it is,
    /// whatever the answer says.
    pub async fn delete_records(
        &self,
        request: &[DeleteRecordsPartition],
        timeout_ms: u64,
    ) -> Vec<DeleteRecordsOutcome> {
        let (mut errors, mut waiting) = (Vec::with_capacity(request.len()), Vec::new());
        for (part, p) in (0..).zip(request) {
            let moved = self.move_log_start(p);
            errors.push(moved.as_ref().err().copied());
            waiting.extend(moved.ok().map(|(partition, need)| Waiting { part, partition, need }));
        }
        if !waiting.is_empty() {
            self.await_replicas(&mut errors, &waiting, timeout_ms).await;
        }
        let mut outcomes: Vec<_> =
            errors.into_iter().map(|error| DeleteRecordsOutcome { error, low: Offset::NONE }).collect();
        for w in &waiting {
            let outcome = &mut outcomes[w.part as usize];
            if outcome.error.is_none() {
                let low = w.partition.with(|core, ctx, _| core.low_watermark(ctx)).flatten();
                outcome.low = low.unwrap_or(w.need);
            }
        }
        outcomes
    }
    fn move_log_start(&self, p: &DeleteRecordsPartition) -> Result<(Arc<Partition>, Offset), ResponseError> {
        let partition = self.find(&p.topic, p.partition)?;
        if !partition.log_config().delete {
            return Err(ResponseError::PolicyViolation);
        }
        let moved = partition.with(|core, _, out| core.delete_records(p.offset, out));
        let need = moved.unwrap_or(Err(ResponseError::NotLeaderOrFollower))?;
        Ok((partition, need))
    }
    async fn await_replicas(&self, errors: &mut [Option<ResponseError>], waiting: &[Waiting], timeout_ms: u64) {
        let mut open = vec![false; errors.len()];
        waiting.iter().for_each(|w| open[w.part as usize] = true);
        let outcomes = errors
            .iter()
            .map(|e| super::api::ProduceOutcome { error: *e, ..refused(ResponseError::UnknownServerError) });
        let deadline = clock::now().after_ms(timeout_ms);
        let (request, answer) = self.shared.requests.add_produce(deadline, outcomes.collect(), open);
        let token = |w: &Waiting| ProduceToken { request, part: w.part };
        for w in waiting {
            w.partition.with(|core, ctx, out| core.await_log_starts(ctx, token(w), w.need, out));
        }
        let outcomes = answer.await.expect("the table answers whatever it has taken in");
        for w in waiting {
            errors[w.part as usize] = outcomes[w.part as usize].error;
            w.partition.with(|core, _, _| core.cancel_produce(token(w)));
        }
    }
}
