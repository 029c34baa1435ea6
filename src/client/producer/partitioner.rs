//! Which partition a record goes to (KIP-794; Kafka's `BuiltInPartitioner`).
//!
//! Keyed records follow the hash of their key. Keyless ones stick to one partition until about `batch.size` bytes went there, then
//! move to a random one; where queues differ, short queues are likelier.

use crate::base::random::Stream;

/// Kafka's 32-bit variant of MurmurHash2, with its seed: all clients must agree on it.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash = (hash ^ tail.iter().rev().fold(0, |k, byte| k << 8 | u32::from(*byte))).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// The partition of a key among `partitions`, which must not be 0.
#[must_use]
pub fn partition_for_key(key: &[u8], partitions: usize) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) as usize % partitions) as i32
}

/// The place where one topic's keyless records go for now.
#[derive(Debug, Default)]
pub struct Sticky {
    current: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The partition for the next keyless record. `queues` yields, for each partition that has a leader, its index and how many
    /// batches wait for it; if none has a leader, any of `partitions` may be chosen.
    pub fn choose(
        &mut self,
        partitions: usize,
        queues: impl Iterator<Item = (i32, usize)>,
        adaptive: bool,
        rng: &mut Stream,
    ) -> i32 {
        if let Some(current) = self.current {
            return current;
        }
        let queues: Vec<(i32, usize)> = queues.collect();
        let chosen = match queues.iter().map(|(_, length)| *length).max() {
            None => rng.below(partitions as u64) as i32,
            Some(longest) => {
                let weight = |length: usize| if adaptive { (longest + 1 - length) as u64 } else { 1 };
                let mut draw = rng.below(queues.iter().map(|(_, length)| weight(*length)).sum());
                let hit = queues.iter().find(|(_, length)| {
                    let hit = draw < weight(*length);
                    draw = draw.wrapping_sub(weight(*length));
                    hit
                });
                hit.expect("a draw below the sum of weights falls on one of them").0
            }
        };
        (self.current, self.bytes) = (Some(chosen), 0);
        chosen
    }

    /// `bytes` of a keyless record went to the current partition. Moves on after `batch_size` bytes if that leaves no batch half
    /// filled (`batch_ready`), and after twice as many in any case.
    pub fn appended(&mut self, bytes: usize, batch_size: usize, batch_ready: bool) {
        self.bytes += bytes;
        if self.bytes >= batch_size && batch_ready || self.bytes >= 2 * batch_size {
            self.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_every_other_kafka_client() {
        let golden: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in golden {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn keyless_records_stick_until_a_batch_is_full_and_then_move_on() {
        let (mut sticky, mut rng) = (Sticky::default(), Stream::new(3, "client"));
        let mut choose = |sticky: &mut Sticky| sticky.choose(8, (0..8).map(|p| (p, 0)), true, &mut rng);
        let first = choose(&mut sticky);
        sticky.appended(90, 100, false);
        assert_eq!(choose(&mut sticky), first);
        sticky.appended(20, 100, false);
        assert_eq!(choose(&mut sticky), first, "a batch is half filled: stay");
        sticky.appended(90, 100, false);
        let moves: std::collections::BTreeSet<i32> = (0..200)
            .map(|_| {
                sticky.appended(200, 100, true);
                choose(&mut sticky)
            })
            .collect();
        assert_eq!(moves.len(), 8, "every partition gets its turn");
    }

    #[test]
    fn short_queues_are_likelier_and_leaderless_partitions_are_left_out() {
        let mut rng = Stream::new(5, "client");
        let mut hits = [0; 3];
        for _ in 0..3000 {
            hits[Sticky::default().choose(3, [(0, 9), (2, 0)].into_iter(), true, &mut rng) as usize] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!(hits[0] > 150 && hits[0] < 450, "one in eleven: {hits:?}");
    }
}
