//! Offset lookups: where a partition without a position starts, and where its log begins and ends (Kafka's `OffsetFetcher`).

use super::ConsumerError;
use super::fetcher::{Asker, Fetcher, Purpose, wire_name};
use super::positions::{Lookup, Position};
use crate::base::{BrokerId, LeaderEpoch, Now, Offset, TopicPartition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use std::collections::BTreeMap;

impl Fetcher {
    /// Asks leaders for offsets that are wanted; returns when one that must wait may be asked for again.
    pub(super) fn look_up(&mut self, now: Now) -> u64 {
        let (mut next_ns, mut leaderless) = (u64::MAX, false);
        let mut wanted: BTreeMap<BrokerId, Vec<(TopicPartition, i64, Asker)>> = BTreeMap::new();
        let resets = self.assigned.iter().filter_map(|(tp, a)| match a.position {
            Position::Lookup(lookup) => Some((tp, lookup, Asker::Reset)),
            _ => None,
        });
        let open = self.questions.iter().filter(|(_, q)| q.answer.is_none());
        let questions = open.map(|(tp, q)| (tp, q.lookup, Asker::Caller));
        for (tp, lookup, asker) in resets.chain(questions).filter(|(_, lookup, _)| !lookup.asked) {
            match self.metadata.leader(tp) {
                None => leaderless = true,
                Some(_) if lookup.not_before_ns > now.mono_ns => next_ns = next_ns.min(lookup.not_before_ns),
                Some((leader, _)) => wanted.entry(leader).or_default().push((tp.clone(), lookup.which, asker)),
            }
        }
        if leaderless && !self.metadata.update_wanted() {
            self.metadata.request_update();
        }
        for (leader, mut asked) in wanted {
            if self.network.ready(leader, now) {
                asked.sort_by(|a, b| a.0.cmp(&b.0));
                self.send_lookup(leader, asked, now);
            } else {
                next_ns = next_ns.min(self.network.not_before_ns(leader).unwrap_or(u64::MAX));
            }
        }
        next_ns
    }
    fn send_lookup(&mut self, leader: BrokerId, asked: Vec<(TopicPartition, i64, Asker)>, now: Now) {
        let mut topics: Vec<ListOffsetsTopic> = Vec::new();
        for (tp, which, asker) in &asked {
            let name = wire_name(&tp.topic);
            if topics.last().is_none_or(|t| t.name != name) {
                topics.push(ListOffsetsTopic::default().with_name(name));
            }
            let epoch = self.metadata.leader(tp).map_or(LeaderEpoch::NONE, |(_, epoch)| epoch);
            let partition = ListOffsetsPartition::default()
                .with_partition_index(tp.partition)
                .with_current_leader_epoch(epoch.0)
                .with_timestamp(*which);
            topics.last_mut().expect("a topic was opened").partitions.push(partition);
            if let Some(lookup) = self.lookup(tp, *which, *asker) {
                lookup.asked = true;
            }
        }
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(topics);
        if let Err(Purpose::Offsets(asked)) = self.network.send(leader, now, &request, Purpose::Offsets(asked)) {
            self.looked_up(asked, now, |_| None);
        }
    }
    fn lookup(&mut self, tp: &TopicPartition, which: i64, asker: Asker) -> Option<&mut Lookup> {
        let lookup = match asker {
            Asker::Caller => self.questions.get_mut(tp).filter(|q| q.answer.is_none()).map(|q| &mut q.lookup),
            Asker::Reset => match self.assigned.get_mut(tp).map(|a| &mut a.position) {
                Some(Position::Lookup(lookup)) => Some(lookup),
                _ => None,
            },
        };
        lookup.filter(|l| l.which == which)
    }
    pub(super) fn looked_up<'a>(
        &mut self,
        asked: Vec<(TopicPartition, i64, Asker)>,
        now: Now,
        answer: impl Fn(&TopicPartition) -> Option<&'a ListOffsetsPartitionResponse>,
    ) {
        for (tp, which, asker) in asked {
            let answer = answer(&tp);
            let error =
                answer.map_or(Some(ResponseError::NetworkException), |a| ResponseError::try_from_code(a.error_code));
            let failures = self.lookup(&tp, which, asker).map_or(0, |l| l.failures);
            let pause = self.network.retry_backoff_ms(failures);
            let Some(lookup) = self.lookup(&tp, which, asker).filter(|l| l.asked) else { continue };
            match error {
                None => self.settle(&tp, asker, Ok(Offset(answer.map_or(0, |a| a.offset)))),
                Some(error) if error.is_retriable() || error == ResponseError::UnknownServerError => {
                    (lookup.asked, lookup.not_before_ns) = (false, now.after_ms(pause));
                    lookup.failures = lookup.failures.saturating_add(1);
                    self.metadata.request_update();
                }
                Some(error) => {
                    (lookup.asked, lookup.not_before_ns) = (false, now.after_ms(pause));
                    self.settle(&tp, asker, Err(error));
                }
            }
        }
    }
    fn settle(&mut self, tp: &TopicPartition, asker: Asker, result: Result<Offset, ResponseError>) {
        match (asker, result) {
            (Asker::Caller, result) => {
                if let Some(question) = self.questions.get_mut(tp) {
                    question.answer = Some(result);
                }
            }
            (Asker::Reset, Ok(offset)) => {
                if let Some(assigned) = self.assigned.get_mut(tp) {
                    assigned.seek(offset);
                }
            }
            (Asker::Reset, Err(error)) => self.errors.push_back(ConsumerError::Broker { tp: tp.clone(), error }),
        }
    }
}
