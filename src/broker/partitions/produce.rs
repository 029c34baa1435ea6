//! Produce: check each batch, append it as leader, answer once `acks` is satisfied (`ReplicaManager.appendRecords`).

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::Partitions;
use super::api::{ProduceOutcome, ProducePartition};
use super::partition::{Appended, Partition};
use crate::base::{LeaderEpoch, Offset};
use crate::io::clock;
use crate::log::batch::{validate_for_log, validate_produce};
use crate::replica::{Acks, ProduceToken};

/// A batch that is appended and not yet acknowledged.
struct Waiting {
    part: u32,
    partition: Arc<Partition>,
    epoch: LeaderEpoch,
    need: Offset,
}

impl Partitions {
    /// Appends one batch per partition and waits for `acks`: 0 and 1 for this broker's page cache, -1 (all) for the
    /// in-sync replicas, at most `timeout_ms`. Outcomes stand at the indexes of their requests. A batch that was
    /// appended and is answered with an error may still become committed.
    pub async fn produce(&self, request: Vec<ProducePartition>, acks: i16, timeout_ms: u64) -> Vec<ProduceOutcome> {
        let acks = match acks {
            -1 => Acks::All,
            0 | 1 => Acks::Leader,
            _ => return request.iter().map(|_| refused(ResponseError::InvalidRequiredAcks)).collect(),
        };
        let mut waiting = Vec::new();
        let parts = (0..).zip(request);
        let outcomes = parts.map(|(part, p)| self.produce_one(part, p, acks, &mut waiting)).collect();
        if waiting.is_empty() {
            return outcomes;
        }
        self.await_acks(outcomes, waiting, acks, timeout_ms).await
    }
    fn produce_one(&self, part: u32, p: ProducePartition, acks: Acks, waiting: &mut Vec<Waiting>) -> ProduceOutcome {
        let found = self.find(&p.topic, p.partition);
        let partition = match found {
            Ok(partition) => partition,
            Err(error) => return ProduceOutcome { current_leader: self.leader_hint(&p, error), ..refused(error) },
        };
        let config = partition.log_config();
        let valid = validate_produce(&p.records, config.max_message_bytes as usize)
            .and_then(|batch| validate_for_log(&batch, &config).map(|()| batch));
        let batch = match valid {
            Ok(batch) => batch,
            Err(error) => return refused(error.code()),
        };
        match partition.append(acks, batch) {
            Ok(Appended { base, next, epoch, log_start, done }) => {
                if !done {
                    waiting.push(Waiting { part, partition, epoch, need: next });
                }
                ProduceOutcome {
                    error: None,
                    base_offset: base,
                    log_start,
                    ..refused(ResponseError::UnknownServerError)
                }
            }
            Err(error) => ProduceOutcome { current_leader: self.leader_hint(&p, error), ..refused(error) },
        }
    }
    async fn await_acks(
        &self,
        outcomes: Vec<ProduceOutcome>,
        waiting: Vec<Waiting>,
        acks: Acks,
        timeout_ms: u64,
    ) -> Vec<ProduceOutcome> {
        let mut open = vec![false; outcomes.len()];
        waiting.iter().for_each(|w| open[w.part as usize] = true);
        let deadline = clock::now().after_ms(timeout_ms);
        let (request, answer) = self.shared.requests.add_produce(deadline, outcomes, open);
        for w in &waiting {
            let token = ProduceToken { request, part: w.part };
            w.partition.with(|core, _, out| core.await_produce(token, w.epoch, w.need, acks, out));
        }
        let outcomes = answer.await.expect("the table answers whatever it has taken in");
        for w in &waiting {
            if outcomes[w.part as usize].error == Some(ResponseError::RequestTimedOut) {
                let token = ProduceToken { request, part: w.part };
                w.partition.with(|core, _, _| core.cancel_produce(token));
            }
        }
        outcomes
    }
    fn leader_hint(&self, p: &ProducePartition, error: ResponseError) -> Option<(crate::base::BrokerId, LeaderEpoch)> {
        (error == ResponseError::NotLeaderOrFollower).then(|| self.known_leader(&p.topic, p.partition))?
    }
}

pub(super) fn refused(error: ResponseError) -> ProduceOutcome {
    ProduceOutcome {
        error: Some(error),
        base_offset: Offset::NONE,
        log_start: Offset::NONE,
        log_append_time_ms: -1,
        current_leader: None,
    }
}
