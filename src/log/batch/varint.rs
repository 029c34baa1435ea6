//! Zigzag varints (`ByteUtils.readVarint`, `writeVarint`).

use bytes::{BufMut, BytesMut};

/// Takes a 32-bit varint off the front of `buf`; `None` if it ends early or is longer than five bytes.
pub fn take_i32(buf: &mut &[u8]) -> Option<i32> {
    let raw = take(buf, 5)?;
    let raw = u32::try_from(raw).ok()?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a 64-bit varint off the front of `buf`; `None` if it ends early or is longer than ten bytes.
pub fn take_i64(buf: &mut &[u8]) -> Option<i64> {
    let raw = take(buf, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

fn take(buf: &mut &[u8], max: usize) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in buf.iter().take(max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *buf = &buf[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends a zigzag varint; 32-bit values have the same encoding.
pub fn put(buf: &mut BytesMut, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        buf.put_u8(raw as u8 | 0x80);
        raw >>= 7;
    }
    buf.put_u8(raw as u8);
}

/// How many bytes [`put`] appends.
pub fn size(value: i64) -> usize {
    let bits = 64 - zigzag(value).leading_zeros() as usize;
    bits.div_ceil(7).max(1)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
