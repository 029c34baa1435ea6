//! The audit: after healing, one consumer reads every partition from its log start to its end, on the wire like any
//! client.

use std::time::Duration;

use super::witness::Witness;
use crate::base::{Offset, TopicPartition};
use crate::check::verdict::{Audit, Letter};
use crate::client::config::ConsumerConfig;
use crate::client::consumer::{ConsumedRecord, Consumer};
use crate::io::time;
use crate::world::handler;
use crate::world::history::Value;

/// How long the audit of one partition may take before it counts as not live.
const LIMIT: Duration = Duration::from_secs(300);

/// How the audit knows which value a record carries; none if it carries nobody's.
pub(super) type Read = fn(Option<&[u8]>) -> Option<Value>;

/// The value that a writer of a scenario has encoded.
pub(super) fn value(bytes: Option<&[u8]>) -> Option<Value> {
    bytes.and_then(Value::decode)
}

/// Reads `partitions` and hands each to the witness.
///
/// # Errors
/// Why a partition could not be read to its end.
pub(super) async fn run(
    witness: &Witness,
    bootstrap: &str,
    partitions: &[TopicPartition],
    value: Read,
) -> Result<(), String> {
    for tp in partitions {
        let read = time::timeout(LIMIT, read(witness, bootstrap, tp, value)).await;
        let audit = read.map_err(|_| format!("the audit could not read {tp} within {} s", LIMIT.as_secs()))??;
        witness.audit(&audit);
    }
    Ok(())
}

async fn read(witness: &Witness, bootstrap: &str, tp: &TopicPartition, value: Read) -> Result<Audit, String> {
    let mut config = ConsumerConfig::default();
    for (key, value) in [("bootstrap.servers", bootstrap), ("client.id", "auditor"), ("auto.offset.reset", "earliest")]
    {
        config.set(key, value).map_err(|e| e.to_string())?;
    }
    let mut consumer = Consumer::new(config).map_err(|e| e.to_string())?;
    consumer.assign(vec![tp.clone()]);
    let (start, end) = bounds(&mut consumer, tp).await?;
    let (mut records, mut letters) = (Vec::new(), Vec::new());
    consumer.seek_to_beginning(tp).map_err(|e| e.to_string())?;
    // The position, not the last record: retention may take away what was to be read.
    while consumer.position(tp).unwrap_or(start) < end {
        let polled = consumer.poll(Duration::from_secs(1)).await.map_err(|e| e.to_string())?;
        letters.extend(polled.iter().filter_map(letter));
        records.extend(polled.into_iter().map(|r| (r.offset, value(r.value.as_deref()))));
    }
    let leader = witness.partition(tp).map(|f| f.leader).unwrap_or_default();
    let mut audit = Audit { tp: tp.clone(), start, end, leader, records, letters };
    leave_out_later(&mut audit);
    Ok(audit)
}

/// What was appended after the end was asked for is no part of the audit: a request may have waited for its turn in a connection that
/// its producer has long given up, and a poll returns all that there is.
fn leave_out_later(audit: &mut Audit) {
    audit.records.retain(|(offset, _)| *offset < audit.end);
    audit.letters.retain(|letter| letter.at.1 < audit.end);
}

/// The record as a dead letter, if it bears any of the headers of one.
fn letter(record: &ConsumedRecord) -> Option<Letter> {
    let header = |name: &str| {
        let (_, value) = record.headers.iter().find(|(key, _)| **key == *name)?;
        Some(String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned())
    };
    let (error, topic, offset) = (header(handler::ERROR), header(handler::TOPIC), header(handler::OFFSET));
    let any = error.is_some() || topic.is_some() || offset.is_some();
    any.then(|| Letter { at: (record.tp.clone(), record.offset), error, topic, offset })
}

fn first(offsets: &[Offset]) -> Result<Offset, String> {
    offsets.first().copied().ok_or_else(|| "ListOffsets answered with no offset".to_owned())
}

/// Log start and end by ListOffsets; asks until there is an answer, the caller bounds the time.
async fn bounds(consumer: &mut Consumer, tp: &TopicPartition) -> Result<(Offset, Offset), String> {
    let of = [tp.clone()];
    loop {
        let start = consumer.beginning_offsets(&of).await;
        let end = consumer.end_offsets(&of).await;
        if let (Ok(start), Ok(end)) = (start, end) {
            return Ok((first(&start)?, first(&end)?));
        }
        time::sleep(Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BrokerId;

    #[test]
    fn what_is_appended_while_the_audit_reads_is_no_part_of_it() {
        let tp = TopicPartition::new("t", 0);
        let letter = |offset| Letter { at: (tp.clone(), Offset(offset)), error: None, topic: None, offset: None };
        let record = |offset| (Offset(offset), None);
        let (start, end, leader) = (Offset(0), Offset(2), BrokerId(1));
        let (records, letters) = ((0..4).map(record).collect(), (0..4).map(letter).collect());
        let mut audit = Audit { tp: tp.clone(), start, end, leader, records, letters };
        leave_out_later(&mut audit);
        assert_eq!(audit.records, [record(0), record(1)]);
        assert_eq!(audit.letters.iter().map(|l| l.at.1).collect::<Vec<_>>(), [Offset(0), Offset(1)]);
    }
}
