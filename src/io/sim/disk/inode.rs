//! The contents of one file: what programs see, what the device holds, and what a power cut makes of the two.
//!
//! Invariant: the durable version of a page is the one in `overwritten` if it is there, else what `bytes` holds of it
//! below `durable_len`. So an append needs no bookkeeping at all.

use super::super::state::Draws;
use super::Space;
use super::blob::Blob;
use super::decay::Untrue;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) const PAGE: usize = 4096;
/// What a device writes whole or not at all.
const SECTOR: usize = 512;

/// A file, whatever it is called.
#[derive(Debug)]
pub(super) struct Inode {
    content: Mutex<Content>,
}

#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Blob,
    pub(super) durable_len: usize,
    /// Durable versions of pages that were overwritten or cut off since they became durable.
    pub(super) overwritten: BTreeMap<usize, Box<[u8]>>,
    /// Pages that only look clean, if a fault has left some.
    pub(super) untrue: Option<Box<Untrue>>,
    /// Counts what changed durable contents: overwrites and truncations, not appends.
    overwrites: u64,
    /// Counts write-backs.
    write_backs: u64,
    /// A write-back is in the heap.
    write_back_due: bool,
    space: Arc<Space>,
}

/// What a sync that was asked for at some moment has to make durable.
#[derive(Debug)]
pub(super) struct SyncTarget {
    len: usize,
    shortens: bool,
    overwrites: u64,
    write_backs: u64,
}

impl Inode {
    pub fn new(space: Arc<Space>) -> Self {
        let content = Content {
            bytes: Blob::default(),
            durable_len: 0,
            overwritten: BTreeMap::new(),
            untrue: None,
            overwrites: 0,
            write_backs: 0,
            write_back_due: false,
            space,
        };
        Self { content: Mutex::new(content) }
    }
    pub fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock()
    }
}

/// What programs do.
impl Content {
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    pub fn append(&mut self, data: &[u8]) -> io::Result<u64> {
        self.reserve(data.len())?;
        let at = self.len();
        if let Some(untrue) = &mut self.untrue {
            untrue.dirty(self.bytes.len(), self.bytes.len() + data.len());
        }
        self.bytes.append(data);
        Ok(at)
    }
    pub fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = to_index(offset)?;
        let end = start.checked_add(data.len()).ok_or(ErrorKind::FileTooLarge)?;
        self.reserve(end.saturating_sub(self.bytes.len()))?;
        self.save_pages(start, end);
        if let Some(untrue) = &mut self.untrue {
            untrue.dirty(start.min(self.bytes.len()), end);
        }
        if end > self.bytes.len() {
            self.bytes.resize(end);
        }
        self.bytes.overwrite(start, data);
        Ok(())
    }
    pub fn read_at(&self, offset: u64, max_len: usize) -> Bytes {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = start.saturating_add(max_len).min(self.bytes.len());
        self.bytes.read(start, end)
    }
    /// How many bytes [`Content::read_at`] would give.
    pub fn readable(&self, offset: u64, max_len: usize) -> usize {
        usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX).min(max_len)
    }
    pub fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = to_index(len)?;
        self.reserve(len.saturating_sub(self.bytes.len()))?;
        self.save_pages(len, usize::MAX);
        if let Some(untrue) = &mut self.untrue {
            untrue.truncate(len);
        }
        self.space.used.fetch_sub(self.bytes.len().saturating_sub(len) as u64, Ordering::Relaxed);
        self.bytes.resize(len);
        Ok(())
    }
    /// True once for each time that the file needs a write-back.
    pub fn wants_write_back(&mut self) -> bool {
        let wants = !self.write_back_due && self.is_dirty();
        self.write_back_due |= wants;
        wants
    }
    fn reserve(&self, more: usize) -> io::Result<()> {
        let used = self.space.used.fetch_add(more as u64, Ordering::Relaxed);
        if more > 0 && used + more as u64 > self.space.capacity.load(Ordering::Relaxed) {
            self.space.used.fetch_sub(more as u64, Ordering::Relaxed);
            self.space.refused.store(true, Ordering::Relaxed);
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }
    /// Keeps the durable versions of the pages of `start..end`, before they change.
    fn save_pages(&mut self, start: usize, end: usize) {
        let end = end.min(self.durable_len);
        if start >= end {
            return;
        }
        self.overwrites += 1;
        for page in start / PAGE..end.div_ceil(PAGE) {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(self.durable_len));
            self.overwritten.entry(page).or_insert_with(|| self.bytes.within_chunk(from, to).into());
        }
    }
}

/// What the device does.
impl Content {
    pub fn is_dirty(&self) -> bool {
        if let Some(untrue) = &self.untrue {
            return self.looks_dirty(untrue);
        }
        self.bytes.len() != self.durable_len || !self.overwritten.is_empty()
    }
    /// What a sync asked for now has to make durable, if anything.
    pub fn sync_target(&self) -> Option<SyncTarget> {
        self.is_dirty().then_some(SyncTarget {
            len: self.bytes.len(),
            shortens: self.bytes.len() < self.durable_len,
            overwrites: self.overwrites,
            write_backs: self.write_backs,
        })
    }
    /// A sync is done. What was appended while it ran is not durable; a page that was overwritten meanwhile was written
    /// in its new version, as kernels do. Returns what to chain.
    pub fn synced(&mut self, target: &SyncTarget) -> u64 {
        if self.overwrites != target.overwrites {
            self.durable_len = self.bytes.len();
        } else if target.shortens && self.write_backs == target.write_backs {
            self.durable_len = target.len;
        } else {
            self.durable_len = self.durable_len.max(target.len);
        }
        self.overwritten.clear();
        self.keep_untrue();
        self.durable_len as u64
    }
    /// How many bytes the next sync has to write, about.
    pub fn dirty_bytes(&self) -> u64 {
        (self.bytes.len().saturating_sub(self.durable_len) + self.overwritten.len() * PAGE) as u64
    }
    /// Everything written until now became durable in the background.
    pub fn written_back(&mut self) -> u64 {
        self.write_back_due = false;
        self.write_backs += 1;
        self.overwritten.clear();
        self.durable_len = self.bytes.len();
        self.keep_untrue();
        self.durable_len as u64
    }
    /// The power is cut: each page that is not durable turns out old, new, or torn between sectors, and the length old,
    /// new or something between.
    pub fn lose_unsynced(&mut self, random: &mut Draws) {
        self.write_back_due = false;
        self.evict();
        self.untrue = None;
        if !self.is_dirty() {
            return;
        }
        let (len, before) = (self.surviving_len(random), self.bytes.len());
        let pages = self.dirty_pages();
        self.bytes.resize(before.max(self.durable_len));
        for page in pages {
            self.resolve_page(page, before, random);
        }
        self.bytes.resize(len);
        self.space.used.fetch_add(len as u64, Ordering::Relaxed);
        self.space.used.fetch_sub(before as u64, Ordering::Relaxed);
        self.durable_len = len;
        self.overwritten.clear();
    }
    fn surviving_len(&self, random: &mut Draws) -> usize {
        let (old, new) = (self.durable_len, self.bytes.len());
        match random.between(0, 2) {
            0 => old,
            1 => new,
            _ => {
                let (low, high) = (old.min(new), old.max(new));
                let between = random.between(low as u64, high as u64) as usize;
                (between / SECTOR * SECTOR).clamp(low, high)
            }
        }
    }
    pub(super) fn dirty_pages(&self) -> Vec<usize> {
        let mut pages: Vec<usize> = self.overwritten.keys().copied().collect();
        pages.extend(self.durable_len / PAGE..self.bytes.len().div_ceil(PAGE));
        pages.sort_unstable();
        pages.dedup();
        pages
    }
    /// Puts old sectors over the new ones of a page where the seed says so. Bytes from `new_len` on were cut off and have no new
    /// version.
    fn resolve_page(&mut self, page: usize, new_len: usize, random: &mut Draws) {
        let start = page * PAGE;
        let end = (start + PAGE).min(self.bytes.len());
        let old: Box<[u8]> = match self.overwritten.remove(&page) {
            Some(old) => old,
            None => self.bytes.within_chunk(start.min(self.durable_len), end.min(self.durable_len)).into(),
        };
        let fate = random.between(0, 2);
        for sector in (start..end).step_by(SECTOR) {
            let keeps_old = fate == 0 || (fate == 2 && random.chance(1, 2));
            let until = (sector + SECTOR).min(end);
            let from = if keeps_old { sector } else { new_len.clamp(sector, until) };
            for (at, byte) in (from..until).zip(self.bytes.within_chunk_mut(from, until)) {
                *byte = old.get(at - start).copied().unwrap_or(0);
            }
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.space.used.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

fn to_index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge.into())
}
