//! What consumers tell each other through the coordinator, who does not read it: subscriptions and assignments in the format of
//! Kafka's `ConsumerProtocol`, and what sticky members remember of themselves.
//!
//! Pure. Decoding takes what other members wrote: it fails on nonsense and allocates no more than the bytes hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::base::TopicPartition;

/// The version that is written: with owned partitions, generation and rack.
const VERSION: i16 = 3;
/// From this version on a subscription names the partitions that are owned (KIP-429).
const OWNED: i16 = 1;
/// From this version on it names the generation that they were owned in (KAFKA-12984).
const GENERATION: i16 = 2;

/// `ConsumerProtocolSubscription`: what one member wants and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub topics: BTreeSet<Arc<str>>,
    pub user_data: Option<Bytes>,
    pub owned: BTreeSet<TopicPartition>,
    /// None before the member's first assignment.
    pub generation: Option<i32>,
}

impl Subscription {
    pub fn encode(&self) -> Bytes {
        let mut buf = BytesMut::new();
        buf.put_i16(VERSION);
        buf.put_i32(self.topics.len() as i32);
        self.topics.iter().for_each(|topic| put_text(&mut buf, topic));
        put_bytes(&mut buf, self.user_data.as_deref());
        put_partitions(&mut buf, &self.owned);
        buf.put_i32(self.generation.unwrap_or(-1));
        // No rack: partitions are not shared out by racks.
        buf.put_i16(-1);
        buf.freeze()
    }
    /// None if the bytes are no subscription. What later versions add at the end is passed over.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let buf = &mut bytes;
        let version = buf.try_get_i16().ok()?;
        let mut topics = BTreeSet::new();
        for _ in 0..buf.try_get_i32().ok()? {
            topics.insert(take_text(buf)?);
        }
        let user_data = take_bytes(buf)?;
        let owned = if version >= OWNED { take_partitions(buf)? } else { BTreeSet::new() };
        let generation = if version >= GENERATION { Some(buf.try_get_i32().ok()?) } else { None };
        Some(Self { topics, user_data, owned, generation: generation.filter(|g| *g >= 0) })
    }
}

/// `ConsumerProtocolAssignment`.
pub(super) fn encode_assignment(partitions: &BTreeSet<TopicPartition>) -> Bytes {
    let mut buf = BytesMut::new();
    buf.put_i16(VERSION);
    put_partitions(&mut buf, partitions);
    put_bytes(&mut buf, None);
    buf.freeze()
}
/// None if the bytes are no assignment. No bytes at all are none, but from a coordinator they mean: no partitions.
pub(super) fn decode_assignment(mut bytes: &[u8]) -> Option<BTreeSet<TopicPartition>> {
    if bytes.is_empty() {
        return Some(BTreeSet::new());
    }
    let buf = &mut bytes;
    let _version = buf.try_get_i16().ok()?;
    let partitions = take_partitions(buf)?;
    take_bytes(buf)?;
    Some(partitions)
}

/// What a member of the eager sticky assignor remembers, since it owns nothing when it joins (`StickyAssignorUserData`).
pub(super) fn encode_sticky(owned: &BTreeSet<TopicPartition>, generation: i32) -> Bytes {
    let mut buf = BytesMut::new();
    put_partitions(&mut buf, owned);
    buf.put_i32(generation);
    buf.freeze()
}
/// None if the bytes are nothing of that kind.
pub(super) fn decode_sticky(mut bytes: &[u8]) -> Option<(BTreeSet<TopicPartition>, Option<i32>)> {
    let buf = &mut bytes;
    let owned = take_partitions(buf)?;
    // The first version of the format had no generation.
    Some((owned, buf.try_get_i32().ok().filter(|g| *g >= 0)))
}
/// The generation, which members of the cooperative sticky assignor also write beside the subscription.
pub(super) fn encode_generation(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

fn put_text(buf: &mut BytesMut, text: &str) {
    buf.put_i16(text.len() as i16);
    buf.put_slice(text.as_bytes());
}
fn take_text(buf: &mut &[u8]) -> Option<Arc<str>> {
    let len = usize::try_from(buf.try_get_i16().ok()?).ok()?;
    let text = std::str::from_utf8(buf.get(..len)?).ok()?.into();
    buf.advance(len);
    Some(text)
}
fn put_bytes(buf: &mut BytesMut, bytes: Option<&[u8]>) {
    buf.put_i32(bytes.map_or(-1, |b| b.len() as i32));
    buf.put_slice(bytes.unwrap_or_default());
}
/// The outer none: this is no byte string. The inner: there is none.
fn take_bytes(buf: &mut &[u8]) -> Option<Option<Bytes>> {
    match buf.try_get_i32().ok()? {
        -1 => Some(None),
        len => {
            let len = usize::try_from(len).ok()?;
            let bytes = Bytes::copy_from_slice(buf.get(..len)?);
            buf.advance(len);
            Some(Some(bytes))
        }
    }
}
fn put_partitions(buf: &mut BytesMut, partitions: &BTreeSet<TopicPartition>) {
    let mut by_topic: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        by_topic.entry(&tp.topic).or_default().push(tp.partition);
    }
    buf.put_i32(by_topic.len() as i32);
    for (topic, indexes) in by_topic {
        put_text(buf, topic);
        buf.put_i32(indexes.len() as i32);
        indexes.into_iter().for_each(|index| buf.put_i32(index));
    }
}
fn take_partitions(buf: &mut &[u8]) -> Option<BTreeSet<TopicPartition>> {
    let mut partitions = BTreeSet::new();
    for _ in 0..buf.try_get_i32().ok()? {
        let topic = take_text(buf)?;
        for _ in 0..buf.try_get_i32().ok()? {
            partitions.insert(TopicPartition::new(topic.clone(), buf.try_get_i32().ok()?));
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::prelude::*;

    use super::*;

    fn partitions() -> impl Strategy<Value = BTreeSet<TopicPartition>> {
        let tp = ("[a-c]{1,2}", 0..5i32).prop_map(|(topic, p)| TopicPartition::new(topic.as_str(), p));
        proptest::collection::btree_set(tp, 0..8)
    }
    fn subscription() -> impl Strategy<Value = Subscription> {
        let topics = proptest::collection::btree_set("[a-d]{1,3}".prop_map(|t| Arc::<str>::from(t.as_str())), 0..4);
        let data = proptest::option::of(any::<Vec<u8>>().prop_map(Bytes::from));
        let generation = proptest::option::of(0..9i32);
        (topics, data, partitions(), generation).prop_map(|(topics, user_data, owned, generation)| Subscription {
            topics,
            user_data,
            owned,
            generation,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_kafka_reads(s in subscription()) {
            let bytes = s.encode();
            prop_assert_eq!(Subscription::decode(&bytes), Some(s.clone()));
            let mut body = bytes.slice(2..);
            let seen = ConsumerProtocolSubscription::decode(&mut body, VERSION).expect("a subscription");
            prop_assert!(body.is_empty());
            prop_assert_eq!(seen.user_data.as_ref(), s.user_data.as_ref());
            prop_assert_eq!(seen.generation_id, s.generation.unwrap_or(-1));
            let owned = seen.owned_partitions.iter();
            let owned = owned.flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(t.topic.as_str(), *p)));
            prop_assert!(owned.eq(s.owned.iter().cloned()));
            let mut again = BytesMut::new();
            seen.encode(&mut again, VERSION).expect("it was read from this version");
            prop_assert_eq!(again.freeze(), bytes.slice(2..));
        }
        #[test]
        fn an_assignment_is_what_kafka_reads(p in partitions()) {
            let bytes = encode_assignment(&p);
            prop_assert_eq!(decode_assignment(&bytes), Some(p));
            let mut body = bytes.slice(2..);
            ConsumerProtocolAssignment::decode(&mut body, VERSION).expect("an assignment");
            prop_assert!(body.is_empty());
        }
        #[test]
        fn what_sticky_members_remember_comes_back(p in partitions(), generation in 0..9i32) {
            prop_assert_eq!(decode_sticky(&encode_sticky(&p, generation)), Some((p, Some(generation))));
        }
        #[test]
        fn nonsense_is_refused_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = (Subscription::decode(&bytes), decode_assignment(&bytes), decode_sticky(&bytes));
        }
    }
}
