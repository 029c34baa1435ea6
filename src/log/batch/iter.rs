//! The batches of a buffer, one after the other.

use bytes::Bytes;

use super::error::BatchError;
use super::view::{BatchBytes, BatchView, frame};

/// Iterates whole batches; ends after the first error.
#[derive(Clone, Debug)]
pub struct Batches<B = Bytes> {
    rest: Option<B>,
    strict: bool,
}

/// The whole batches of a fetch response or a file; a partial batch at the end is the end.
#[must_use]
pub fn batches(buf: &Bytes) -> Batches<Bytes> {
    Batches { rest: Some(buf.clone()), strict: false }
}

/// Like [`batches`], over a borrowed slice.
#[must_use]
pub fn batches_in(buf: &[u8]) -> Batches<&[u8]> {
    Batches { rest: Some(buf), strict: false }
}

/// The batches of a produce request: a partial batch at the end is an error.
#[must_use]
pub fn batches_strict(buf: &Bytes) -> Batches<Bytes> {
    Batches { rest: Some(buf.clone()), strict: true }
}

impl<B: BatchBytes> Iterator for Batches<B> {
    type Item = Result<BatchView<B>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let raw = rest.as_ref();
        match frame(raw) {
            Ok(Some(len)) => {
                let batch = BatchView::first_of(&rest);
                self.rest = Some(rest.part(len, raw.len()));
                Some(batch)
            }
            Ok(None) if self.strict && !raw.is_empty() => Some(Err(BatchError::Truncated)),
            Ok(None) => None,
            Err(e) => Some(Err(e)),
        }
    }
}
