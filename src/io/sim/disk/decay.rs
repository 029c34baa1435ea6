//! Contents that decay: pages whose version on the device is not what the cache shows, though the kernel takes them
//! for clean. A sync that failed leaves them behind (the fsync trap), and so does a write that landed elsewhere. What
//! the device holds shows when the cache lets go of a page, at a seeded time.

use super::super::state::{Draws, State};
use super::inode::{Content, PAGE};
use super::{Inode, Work};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pages of one file that only look clean.
///
/// Invariant: below the durable length, `Content::overwritten` holds the same version of each.
#[derive(Debug, Default)]
pub(super) struct Untrue {
    /// What the device holds of them; what is missing of a page is zeros.
    pages: BTreeMap<usize, Box<[u8]>>,
    /// Up to here the kernel believes the file to be on the device.
    clean_len: usize,
}

impl Untrue {
    /// Programs change `start..end`: whole pages of it will be written again.
    pub fn dirty(&mut self, start: usize, end: usize) {
        for page in start / PAGE..end.div_ceil(PAGE) {
            self.pages.remove(&page);
        }
    }
    pub fn truncate(&mut self, len: usize) {
        self.dirty(len, len);
        self.pages.retain(|page, _| page * PAGE < len);
        self.clean_len = self.clean_len.min(len);
    }
}

impl Content {
    /// [`Content::is_dirty`] of a file with pages that only look clean.
    pub(super) fn looks_dirty(&self, untrue: &Untrue) -> bool {
        self.bytes.len() != self.durable_len.max(untrue.clean_len)
            || self.overwritten.keys().any(|page| !untrue.pages.contains_key(page))
    }
    /// What the device holds of a page now.
    fn on_device(&self, page: usize) -> Box<[u8]> {
        let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(self.durable_len));
        self.overwritten.get(&page).cloned().unwrap_or_else(|| self.bytes.within_chunk(start, end).into())
    }
    /// A sync failed: nothing that was dirty has reached the device, and nobody will try again.
    pub fn sync_failed(&mut self) {
        let mut untrue = self.untrue.take().unwrap_or_default();
        for page in self.dirty_pages().into_iter().filter(|page| page * PAGE < self.bytes.len()) {
            let device = self.on_device(page);
            untrue.pages.entry(page).or_insert(device);
        }
        untrue.clean_len = untrue.clean_len.max(self.bytes.len());
        self.untrue = Some(untrue);
    }
    /// What was dirty has been written: only pages that looked clean still differ.
    pub(super) fn keep_untrue(&mut self) {
        let Some(untrue) = &self.untrue else { return };
        for (page, device) in untrue.pages.iter().filter(|(page, _)| **page * PAGE < self.durable_len) {
            let mut version = device.to_vec();
            version.resize(self.durable_len.min((page + 1) * PAGE) - page * PAGE, 0);
            self.overwritten.insert(*page, version.into());
        }
    }
    /// The cache lets go of pages that only looked clean: programs see what the device holds. False if nothing
    /// changed.
    pub fn evict(&mut self) -> bool {
        let Some(untrue) = &mut self.untrue else { return false };
        let pages = std::mem::take(&mut untrue.pages);
        for (page, device) in &pages {
            let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(self.bytes.len()));
            for (i, byte) in self.bytes.within_chunk_mut(start, end).iter_mut().enumerate() {
                *byte = device.get(i).copied().unwrap_or(0);
            }
            self.overwritten.remove(page);
        }
        !pages.is_empty()
    }
    /// How many bytes a rotten device could spoil.
    pub fn durable_len(&self) -> u64 {
        self.durable_len.min(self.bytes.len()) as u64
    }
    /// One bit of what the device holds flips, and the cache has let go of it.
    pub fn rot(&mut self, at: u64, bit: u8) {
        let at = at as usize;
        let (page, within) = (at / PAGE, at % PAGE);
        match self.overwritten.get_mut(&page) {
            Some(device) => {
                if let Some(byte) = device.get_mut(within) {
                    *byte ^= 1 << bit;
                }
            }
            None => self.bytes.within_chunk_mut(at, at + 1)[0] ^= 1 << bit,
        }
    }
    /// Chooses a dirty page and a clean one in whose place it will be written; None if the file has no such two.
    fn choose_misdirection(&self, random: &mut Draws) -> Option<Misdirection> {
        let dirty: Vec<_> = self.dirty_pages().into_iter().filter(|page| page * PAGE < self.bytes.len()).collect();
        let clean: Vec<_> = (0..self.durable_len / PAGE).filter(|page| !dirty.contains(page)).collect();
        if dirty.is_empty() || clean.is_empty() {
            return None;
        }
        let pick = |random: &mut Draws, of: &[usize]| of[random.between(0, of.len() as u64 - 1) as usize];
        let (meant, hit) = (pick(random, &dirty), pick(random, &clean));
        let end = ((meant + 1) * PAGE).min(self.bytes.len());
        let (before, written) = (self.on_device(meant), self.bytes.within_chunk(meant * PAGE, end).into());
        Some(Misdirection { meant, before, hit, written })
    }
    /// A page was written in the place of another.
    fn misdirected(&mut self, wrong: Misdirection) {
        let mut written = wrong.written.to_vec();
        // What the short write left of the page that it hit.
        written.extend_from_slice(self.bytes.within_chunk(wrong.hit * PAGE + written.len(), (wrong.hit + 1) * PAGE));
        let untrue = self.untrue.get_or_insert_default();
        untrue.pages.insert(wrong.meant, wrong.before);
        untrue.pages.insert(wrong.hit, written.into());
        self.keep_untrue();
    }
}

/// A page that will be written in the place of another one.
pub(super) struct Misdirection {
    meant: usize,
    before: Box<[u8]>,
    hit: usize,
    written: Box<[u8]>,
}

impl State {
    /// The device is about to write a file: where a write was ordered to go wrong, decides how.
    pub(super) fn plan_misdirection(&mut self, host: u32, inode: &Arc<Inode>) -> Option<Misdirection> {
        let device = &mut self.hosts[host as usize].disk;
        let below = |dir: &String| device.tree.files_below(dir, ".log").iter().any(|file| Arc::ptr_eq(file, inode));
        let order = device.faults.misdirects.iter().position(below)?;
        let wrong = inode.content().choose_misdirection(&mut self.disk_ops.random)?;
        device.faults.misdirects.remove(order);
        device.faults.harmed = true;
        Some(wrong)
    }
    /// A write went wrong; what it did shows later.
    pub(super) fn carry_out_misdirection(&mut self, host: u32, inode: &Arc<Inode>, wrong: Misdirection) {
        inode.content().misdirected(wrong);
        self.start_op(host, Work::Evict(inode.clone()));
        self.show_trouble(host);
    }
    /// Flips up to `bits` bits of what is durable in the `.log` files below `dir`. Returns how many.
    pub fn rot(&mut self, host: u32, dir: &str, bits: u32) -> u32 {
        let device = &mut self.hosts[host as usize].disk;
        let files: Vec<_> = device.tree.files_below(dir, ".log");
        let total: u64 = files.iter().map(|file| file.content().durable_len()).sum();
        if total == 0 {
            return 0;
        }
        for _ in 0..bits {
            let mut at = self.disk_ops.random.between(0, total - 1);
            let bit = self.disk_ops.random.between(0, 7) as u8;
            for file in &files {
                let mut content = file.content();
                let len = content.durable_len();
                if at < len {
                    content.rot(at, bit);
                    break;
                }
                at -= len;
            }
        }
        device.faults.harmed = true;
        self.disk_changed(host, 5 << 8);
        bits
    }
    /// Empties the directory `dir`, except for the entry `keep`; at once and for good.
    pub fn wipe(&mut self, host: u32, dir: &str, keep: Option<&str>) {
        let device = &mut self.host_mut(host).disk;
        for name in device.tree.list(dir).unwrap_or_default().iter().filter(|name| Some(name.as_str()) != keep) {
            let path = format!("{dir}/{name}");
            if device.tree.remove(&path).is_err() {
                device.tree.remove_dir_all(&path).ok();
            }
        }
        device.tree.commit(None, u64::MAX);
        device.faults.harmed = true;
        self.disk_changed(host, 6 << 8);
    }
    /// Leaves so much room on a disk, or gives it back its whole capacity.
    pub fn fill_disk(&mut self, host: u32, left: Option<u64>) {
        let whole = self.config.disk.capacity_bytes;
        let space = &self.host(host).disk.space;
        let used = space.used.load(Ordering::Relaxed);
        space.capacity.store(left.map_or(whole, |left| (used + left).min(whole)), Ordering::Relaxed);
        self.disk_changed(host, 7 << 8 | u64::from(left.is_some()));
    }
}
