//! Walks the batches of a file in large reads.

use std::io;
use std::ops::ControlFlow;

use super::batch::{BatchView, HEADER_LEN, LOG_OVERHEAD, batches_in};
use crate::io::disk::File;

/// Bytes per read, unless a single batch is larger.
const READ: u64 = 1024 * 1024;

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// The end of the last batch that the visitor accepted.
    pub end: u64,
    /// True if nothing stood in the way: the visitor refused none, and whole batches fill the range.
    pub whole: bool,
}

/// Shows every whole batch of `file` in `from..to` to `visit`, with its position, until it breaks. Bytes that are no
/// batch end the walk.
///
/// # Errors
/// Only those of the disk.
pub(super) async fn walk(
    file: &File,
    from: u64,
    to: u64,
    mut visit: impl FnMut(BatchView<&[u8]>, u64) -> ControlFlow<()> + Send,
) -> io::Result<Walked> {
    let mut at = from;
    let mut want = READ;
    while at < to {
        let buf = file.read_at(at, want.min(to - at) as usize).await?;
        let mut used = 0;
        for batch in batches_in(&buf) {
            let Ok(batch) = batch else { return Ok(Walked { end: at + used, whole: false }) };
            let size = batch.size() as u64;
            if visit(batch, at + used).is_break() {
                return Ok(Walked { end: at + used, whole: false });
            }
            used += size;
        }
        if used == 0 {
            let needed = claimed_len(&buf).unwrap_or(HEADER_LEN as u64);
            if needed <= buf.len() as u64 || needed > to - at {
                return Ok(Walked { end: at, whole: false });
            }
            want = needed;
        } else {
            want = READ;
        }
        at += used;
    }
    Ok(Walked { end: at, whole: true })
}

/// What the batch at the start of `buf` says its length is, header included; `None` if `buf` is too short to say.
pub(super) fn claimed_len(buf: &[u8]) -> Option<u64> {
    let length: [u8; 4] = buf.get(8..LOG_OVERHEAD)?.try_into().ok()?;
    Some(u64::try_from(i32::from_be_bytes(length)).unwrap_or(0) + LOG_OVERHEAD as u64)
}
