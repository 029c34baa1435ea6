//! Frames out of a byte stream: a 32-bit length, then that many bytes.
//!
//! In the simulated world one send arrives as one chunk, so most often a chunk is exactly one frame and is handed on without a
//! copy. Chunks with several frames are cut without a copy as well; only a frame spread over chunks is joined.

use crate::io::net::Reader;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;

/// The bytes of the length that opens a frame.
pub const PREFIX: usize = 4;

/// Cuts a stream of chunks into frames. Pure: whoever owns the stream pushes what arrived.
#[derive(Debug)]
pub struct FrameBuffer {
    chunks: VecDeque<Bytes>,
    buffered: usize,
    max_frame: usize,
}

impl FrameBuffer {
    /// Refuses frames longer than `max_frame` bytes, prefix not counted.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self { chunks: VecDeque::new(), buffered: 0, max_frame }
    }
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        self.buffered += chunk.len();
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }
    /// True if the stream may end here: no frame has begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffered == 0
    }
    /// The next whole frame without its prefix, or `None` until more arrives.
    ///
    /// # Errors
    /// `InvalidData` if a frame claims a negative length or one above the limit (Kafka's `InvalidReceiveException`).
    pub fn next_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(len) = self.frame_len()? else { return Ok(None) };
        if self.buffered < PREFIX + len {
            return Ok(None);
        }
        self.buffered -= PREFIX + len;
        let front = &mut self.chunks[0];
        if front.len() < PREFIX + len {
            return Ok(Some(self.join(len)));
        }
        let mut frame = if front.len() == PREFIX + len {
            self.chunks.pop_front().expect("it was looked at")
        } else {
            front.split_to(PREFIX + len)
        };
        frame.advance(PREFIX);
        Ok(Some(frame))
    }

    fn frame_len(&self) -> io::Result<Option<usize>> {
        if self.buffered < PREFIX {
            return Ok(None);
        }
        let claimed = i32::from_be_bytes(match self.chunks[0].first_chunk() {
            Some(prefix) => *prefix,
            None => self.scattered_prefix(),
        });
        match usize::try_from(claimed).ok().filter(|n| *n <= self.max_frame) {
            Some(len) => Ok(Some(len)),
            None => {
                let limit = self.max_frame;
                let message = format!("a frame claims {claimed} bytes, the limit is {limit}");
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        }
    }

    fn scattered_prefix(&self) -> [u8; PREFIX] {
        let mut prefix = [0; PREFIX];
        let bytes = self.chunks.iter().flat_map(|c| c.iter());
        prefix.iter_mut().zip(bytes).for_each(|(p, b)| *p = *b);
        prefix
    }

    fn join(&mut self, len: usize) -> Bytes {
        let mut joined = BytesMut::with_capacity(PREFIX + len);
        while joined.len() < PREFIX + len {
            let front = &mut self.chunks[0];
            let part = front.len().min(PREFIX + len - joined.len());
            joined.extend_from_slice(&front.split_to(part));
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
        joined.freeze().slice(PREFIX..)
    }
}

/// The frames that arrive on a connection.
pub struct FrameReader {
    reader: Reader,
    buffer: FrameBuffer,
}

impl FrameReader {
    /// Refuses frames longer than `max_frame` bytes.
    #[must_use]
    pub fn new(reader: Reader, max_frame: usize) -> Self {
        Self { reader, buffer: FrameBuffer::new(max_frame) }
    }
    /// The next frame without its prefix, `None` at an orderly end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What the connection says; `InvalidData` for a length out of bounds; `UnexpectedEof` if the peer ends inside a frame.
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.buffer.next_frame()? {
                return Ok(Some(frame));
            }
            match self.reader.recv().await? {
                Some(chunk) => self.buffer.push(chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut out = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn a_chunk_that_is_one_frame_is_handed_on_without_a_copy() {
        let mut buffer = FrameBuffer::new(100);
        let chunk = Bytes::from(framed(b"hello"));
        buffer.push(chunk.clone());
        let frame = buffer.next_frame().unwrap().unwrap();
        assert_eq!(frame, "hello");
        assert_eq!(frame.as_ptr(), chunk[PREFIX..].as_ptr());
        assert!(buffer.is_empty() && buffer.next_frame().unwrap().is_none());
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_it_arrives() {
        for claimed in [101i32, i32::MAX, -1, i32::MIN] {
            let mut buffer = FrameBuffer::new(100);
            buffer.push(Bytes::copy_from_slice(&claimed.to_be_bytes()));
            assert_eq!(buffer.next_frame().unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn frames_survive_any_chopping(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(1usize..30, 1..40),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|b| framed(b)).collect();
            let mut buffer = FrameBuffer::new(40);
            let mut frames = Vec::new();
            let (mut at, mut cut) = (0, cuts.iter().cycle());
            while at < stream.len() {
                let end = stream.len().min(at + cut.next().unwrap());
                buffer.push(Bytes::copy_from_slice(&stream[at..end]));
                at = end;
                while let Some(frame) = buffer.next_frame().unwrap() {
                    frames.push(frame.to_vec());
                }
            }
            prop_assert_eq!(frames, bodies);
            prop_assert!(buffer.is_empty());
        }
    }
}
