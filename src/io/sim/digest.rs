//! The digest that two runs are compared by: 128 bits, chained over everything that left the event heap.

use std::fmt;

const KEYS: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x8bb8_4b93_962e_acc9, 0x2d35_8dcc_aa6c_78a5];

/// A chain value; displays as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Digest(u64, u64);

impl Digest {
    /// The start of the chain of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut digest = Self(KEYS[0], KEYS[1]);
        digest.absorb(seed);
        digest
    }
    /// Chains one word. The two lanes differ in their keys, so that a word which collapses one leaves the other.
    #[inline]
    pub fn absorb(&mut self, word: u64) {
        let (a, b) = (fold(self.0 ^ word, KEYS[2] ^ self.1), fold(self.1.rotate_left(29) ^ word, KEYS[3] ^ self.0));
        self.0 = a;
        self.1 = b.wrapping_add(word);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

/// Hashes content, at several bytes per cycle; stable across machines.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> u64 {
    let mut hash = KEYS[0] ^ bytes.len() as u64;
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let block = u128::from_le_bytes(*block);
        hash = fold(block as u64 ^ KEYS[1], (block >> 64) as u64 ^ hash).rotate_left(1) ^ hash;
    }
    let mut last = [0u8; 16];
    last[..rest.len()].copy_from_slice(rest);
    let last = u128::from_le_bytes(last);
    fold(last as u64 ^ hash ^ KEYS[2], (last >> 64) as u64 ^ KEYS[3])
}

/// The two halves of a full product, folded: one multiplication mixes every bit.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::{Digest, content_hash};
    use std::collections::BTreeSet;

    #[test]
    fn order_and_every_word_count() {
        let chain = |words: &[u64]| {
            let mut digest = Digest::new(1);
            words.iter().for_each(|w| digest.absorb(*w));
            digest
        };
        assert_ne!(chain(&[1, 2]), chain(&[2, 1]));
        assert_ne!(chain(&[0]), chain(&[0, 0]));
        assert_eq!(chain(&[1, 2]).to_string().len(), 32);
    }

    #[test]
    fn a_flipped_bit_changes_the_content_hash() {
        let content: Vec<u8> = (0..100).collect();
        let mut seen = BTreeSet::from([content_hash(&content)]);
        for bit in 0..800 {
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(content_hash(&flipped)), "bit {bit}");
        }
        assert_ne!(content_hash(b"a"), content_hash(b"a\0"));
        assert_eq!(content_hash(b"kafka"), content_hash(b"kafka"));
    }
}
