//! What a flipped bit does to a Kafka frame, where its receiver can see it.
//!
//! A flip past TCP's checksum can make any message of any other, and no protocol without checksums of its own survives that:
//! what comes of it would say nothing about the software under test. So a bit flips where the receiver has the means to
//! notice: in the upper half of a frame's length, of a request's API key and version, anywhere in a response's correlation
//! id, or in what the checksum of a record batch covers. What it makes of that is its affair.

use super::super::state::Draws;
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// A frame's length: bits that no frame within the limits has set, or only a huge one.
const LENGTH: Range<usize> = 0..2;
/// The upper bytes of a request's API key and version.
const KEY_AND_VERSION: [usize; 2] = [4, 6];
/// A response's correlation id.
const CORRELATION: Range<usize> = 4..8;
/// From a batch's start to what says that it is one, and to what its checksum covers.
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
/// A batch without records is as long as this.
const BATCH_HEADER: usize = 61;

/// The chunk with one bit flipped; unchanged if there is no place for that.
pub(super) fn damage(chunk: &Bytes, request: bool, random: &mut Draws) -> Bytes {
    let checked = batch(chunk).filter(|_| random.chance(3, 4));
    let at = match checked {
        Some(covered) => random.between(covered.start as u64, covered.end as u64 - 1) as usize,
        None if chunk.len() < CORRELATION.end => return chunk.clone(),
        None if random.chance(1, 2) => LENGTH.start + random.between(0, LENGTH.len() as u64 - 1) as usize,
        None if request => KEY_AND_VERSION[random.between(0, 1) as usize],
        None => CORRELATION.start + random.between(0, CORRELATION.len() as u64 - 1) as usize,
    };
    let mut damaged = BytesMut::from(&chunk[..]);
    damaged[at] ^= 1 << random.between(0, 7);
    damaged.freeze()
}

/// What the checksum of the first record batch in the chunk covers.
fn batch(chunk: &[u8]) -> Option<Range<usize>> {
    let last = chunk.len().checked_sub(BATCH_HEADER)?;
    (0..=last).filter(|start| chunk[start + MAGIC_AT] == 2).find_map(|start| {
        let number = |at: usize| chunk[start + at..].first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
        // The length counts from behind itself.
        let end = start.checked_add(12)?.checked_add(number(8)? as usize)?;
        let covered = chunk.get(start + CRC_FROM..end)?;
        (number(CRC_AT)? == crc32c::crc32c(covered)).then_some(start + CRC_FROM..end)
    })
}
