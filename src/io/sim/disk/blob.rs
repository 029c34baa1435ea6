//! The bytes of a file, in chunks: a file that grows never moves, and memory is taken as it is used.

use bytes::{Bytes, BytesMut};

/// Bytes of a chunk; a multiple of every page size.
const CHUNK: usize = 64 * 1024;

/// Bytes that grow and shrink at their end. Every chunk but the last is full.
#[derive(Clone, Debug, Default)]
pub(super) struct Blob {
    chunks: Vec<Vec<u8>>,
    len: usize,
}

impl Blob {
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn append(&mut self, mut data: &[u8]) {
        self.len += data.len();
        while !data.is_empty() {
            let chunk = self.room();
            let taken = data.len().min(CHUNK - chunk.len());
            grow(chunk, taken);
            chunk.extend_from_slice(&data[..taken]);
            data = &data[taken..];
        }
    }
    /// Cuts, or fills up with zeros.
    pub fn resize(&mut self, len: usize) {
        if len < self.len {
            self.chunks.truncate(len.div_ceil(CHUNK));
            if let Some(last) = self.chunks.last_mut() {
                last.truncate(len - (len - 1) / CHUNK * CHUNK);
            }
            self.len = len;
        }
        while self.len < len {
            let missing = len - self.len;
            let chunk = self.room();
            let added = missing.min(CHUNK - chunk.len());
            grow(chunk, added);
            chunk.resize(chunk.len() + added, 0);
            self.len += added;
        }
    }
    /// Puts `data` over what stands at `at`; all of it must be inside.
    pub fn overwrite(&mut self, mut at: usize, mut data: &[u8]) {
        assert!(at + data.len() <= self.len, "an overwrite ends inside the file");
        while !data.is_empty() {
            let (chunk, from) = (&mut self.chunks[at / CHUNK], at % CHUNK);
            let taken = data.len().min(chunk.len() - from);
            chunk[from..from + taken].copy_from_slice(&data[..taken]);
            (at, data) = (at + taken, &data[taken..]);
        }
    }
    /// A copy of `from..to`, both inside.
    pub fn read(&self, from: usize, to: usize) -> Bytes {
        if from < to && from / CHUNK == (to - 1) / CHUNK {
            return Bytes::copy_from_slice(self.within_chunk(from, to));
        }
        let mut out = BytesMut::with_capacity(to - from);
        let mut at = from;
        while at < to {
            let end = to.min((at / CHUNK + 1) * CHUNK);
            out.extend_from_slice(self.within_chunk(at, end));
            at = end;
        }
        out.freeze()
    }
    /// `from..to`, which no multiple of the chunk size divides: part of a page, for example.
    pub fn within_chunk(&self, from: usize, to: usize) -> &[u8] {
        if from >= to {
            return &[];
        }
        let start = from / CHUNK * CHUNK;
        &self.chunks[from / CHUNK][from - start..to - start]
    }
    /// As [`Self::within_chunk`], to write to.
    pub fn within_chunk_mut(&mut self, from: usize, to: usize) -> &mut [u8] {
        if from >= to {
            return &mut [];
        }
        let start = from / CHUNK * CHUNK;
        &mut self.chunks[from / CHUNK][from - start..to - start]
    }
    /// The last chunk if it has room, else a new one.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::new());
        }
        self.chunks.last_mut().expect("there is one now")
    }
}

/// Doubles as a vector does, but never beyond a chunk.
fn grow(chunk: &mut Vec<u8>, more: usize) {
    if chunk.len() + more > chunk.capacity() {
        let capacity = (chunk.capacity() * 2).max(chunk.len() + more).min(CHUNK);
        chunk.reserve_exact(capacity - chunk.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Change {
        Append(usize),
        Resize(usize),
        Overwrite(usize, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let size = 0..3 * CHUNK;
        prop_oneof![
            size.clone().prop_map(Change::Append),
            size.clone().prop_map(Change::Resize),
            (size.clone(), size).prop_map(|(at, len)| Change::Overwrite(at, len)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_blob_is_a_vector(changes in prop::collection::vec(change(), 1..8), from: usize, len in 0..2 * CHUNK) {
            let (mut blob, mut model) = (Blob::default(), Vec::new());
            for (i, change) in changes.into_iter().enumerate() {
                let data = |len: usize| (0..len).map(|n| (n * 31 + i) as u8).collect::<Vec<_>>();
                match change {
                    Change::Append(len) => {
                        blob.append(&data(len));
                        model.extend(data(len));
                    }
                    Change::Resize(len) => {
                        blob.resize(len);
                        model.resize(len, 0);
                    }
                    Change::Overwrite(at, len) => {
                        let at = at.min(model.len());
                        let len = len.min(model.len() - at);
                        blob.overwrite(at, &data(len));
                        model[at..at + len].copy_from_slice(&data(len));
                    }
                }
                prop_assert_eq!(blob.len(), model.len());
            }
            prop_assert_eq!(&blob.read(0, model.len())[..], &model[..]);
            let from = from % (model.len() + 1);
            let to = model.len().min(from + len);
            prop_assert_eq!(&blob.read(from, to)[..], &model[from..to]);
        }
    }
}
