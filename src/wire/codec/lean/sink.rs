//! Where an encoder writes to: memory, or a number that only counts.

use bytes::BytesMut;

/// Takes the bytes of a message in their order.
pub(super) trait Sink {
    fn slice(&mut self, bytes: &[u8]);

    #[inline]
    fn i8(&mut self, n: i8) {
        self.slice(&n.to_be_bytes());
    }
    #[inline]
    fn i16(&mut self, n: i16) {
        self.slice(&n.to_be_bytes());
    }
    #[inline]
    fn i32(&mut self, n: i32) {
        self.slice(&n.to_be_bytes());
    }
    #[inline]
    fn i64(&mut self, n: i64) {
        self.slice(&n.to_be_bytes());
    }
    /// An unsigned varint.
    #[inline]
    fn varint(&mut self, mut n: u32) {
        while n >= 0x80 {
            self.slice(&[n as u8 | 0x80]);
            n >>= 7;
        }
        self.slice(&[n as u8]);
    }
    /// The length of an array or of bytes.
    #[inline]
    fn count(&mut self, flexible: bool, n: usize) {
        if flexible { self.varint(n as u32 + 1) } else { self.i32(n as i32) }
    }
    #[inline]
    fn string(&mut self, flexible: bool, text: &str) {
        if flexible {
            self.varint(text.len() as u32 + 1)
        } else {
            self.i16(text.len() as i16)
        }
        self.slice(text.as_bytes());
    }
    #[inline]
    fn null_string(&mut self, flexible: bool) {
        if flexible { self.varint(0) } else { self.i16(-1) }
    }
    #[inline]
    fn blob(&mut self, flexible: bool, bytes: &[u8]) {
        self.count(flexible, bytes.len());
        self.slice(bytes);
    }
}

impl Sink for BytesMut {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Only counts.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub len: usize,
}

impl Sink for Counter {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
    }
}
