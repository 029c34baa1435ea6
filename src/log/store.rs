//! The writer's hands on one log's directory: append, roll, truncate, delete, sync. One owner, one step at a time;
//! readers look through [`LogReader`] meanwhile.
//!
//! What a power cut may leave is decided by the order of steps here, and repaired by recovery. A truncation is made
//! durable before the step ends, unlike Kafka's: otherwise old batches could come back behind new ones, with right
//! checksums and offsets that fit.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use super::batch::batches_in;
use super::compaction::{Swap, Swapped};
use super::config::LogConfig;
use super::epochs::EpochEntry;
use super::files;
use super::info::BatchInfo;
use super::positions::Positions;
use super::reader::{LogReader, Shared};
use super::segment::{Segment, remove_files, stem};
use super::snapshots;
use crate::base::Offset;
use crate::base::marks::{Mark, mark};
use crate::io::disk::Disk;

/// Called with the new end before a log is cut, and waited for: whatever promises that more is durable is taken back
/// first.
pub type BeforeCut = Box<dyn Fn(Offset) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> + Send + Sync>;

/// See the module.
pub struct LogStore {
    disk: Disk,
    dir: String,
    config: LogConfig,
    segments: Vec<Arc<Segment>>,
    shared: Arc<Shared>,
    end: Offset,
    /// The end at the last sync, or where a truncation has cut since.
    flushed: Offset,
    /// Segments from this index on may hold bytes that are not on the device.
    unsynced: usize,
    /// Files came or went since the directory was synced.
    dir_changed: bool,
    /// Where snapshots of the producers are.
    snapshots: BTreeSet<Offset>,
    /// Where the newest segment begins, until somebody asks ([`LogStore::take_rolled`]).
    rolled: Option<Offset>,
    /// Files under their last name, which may be removed.
    doomed: Vec<String>,
    before_cut: Option<BeforeCut>,
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore").field("dir", &self.dir).field("end", &self.end).finish_non_exhaustive()
    }
}

impl LogStore {
    /// Over segments as recovery left them: at least one, all synced.
    pub(super) fn new(
        disk: Disk,
        dir: String,
        config: LogConfig,
        (segments, snapshots): (Vec<Arc<Segment>>, BTreeSet<Offset>),
    ) -> Self {
        let active = segments.last().expect("a log has a segment");
        let end = active.with(|p| p.next());
        let unsynced = segments.len() - 1;
        let shared = Arc::new(Shared::new(segments.clone()));
        let (doomed, before_cut) = (Vec::new(), None);
        let (flushed, dir_changed, rolled) = (end, false, None);
        Self {
            disk,
            dir,
            config,
            segments,
            shared,
            end,
            flushed,
            unsynced,
            dir_changed,
            snapshots,
            rolled,
            doomed,
            before_cut,
        }
    }
    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.shared.clone())
    }
    /// The offset after the last batch on the disk.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }
    /// The log's directory.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
    }

    fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log has a segment")
    }

    /// The offset below which everything was made durable by a sync.
    #[must_use]
    pub fn flushed(&self) -> Offset {
        self.flushed
    }
    /// Appends whole, stamped batches; rolls where a segment is full. Returns the new end. With as many records off the
    /// device as `flush.messages` says the append is not over before they are on it (`UnifiedLog.append`).
    ///
    /// # Errors
    /// Those of the disk; `InvalidInput` if `bytes` are not whole batches that continue the log.
    pub async fn append(&mut self, bytes: &[u8]) -> io::Result<Offset> {
        let mut next = self.end;
        let mut run = 0..0;
        let mut infos = Infos::default();
        for batch in batches_in(bytes) {
            let info = BatchInfo::of(&batch.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?);
            if info.base < next || info.next <= info.base {
                let reason = format!("a batch for {}..{} does not continue the log at {next}", info.base, info.next);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
            next = info.next;
            let config = self.config;
            if self.active().with(|p| infos.must_roll(p.must_roll(&info, &config), &info, p.size(), &config)) {
                self.append_run(&bytes[run.clone()], &mut infos).await?;
                self.roll().await?;
                run.start = run.end;
            }
            run.end += info.size;
            infos.push(info);
        }
        if run.end != bytes.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an append ends inside a batch"));
        }
        self.append_run(&bytes[run], &mut infos).await?;
        if (self.end.0 - self.flushed().0).cast_unsigned() >= self.config.flush_messages {
            self.sync().await?;
        }
        Ok(self.end)
    }

    /// Appends batches that fit into the active segment, with one write.
    async fn append_run(&mut self, bytes: &[u8], infos: &mut Infos) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let active = self.active();
        let at = active.file.append(bytes).await?;
        let config = self.config;
        active.with(|p| {
            if at != p.size() {
                let reason = format!("the file had {at} bytes instead of {}", p.size());
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            infos.iter().for_each(|info| p.push(info, &config));
            Ok(())
        })?;
        self.end = infos.last_next().unwrap_or(self.end);
        infos.clear();
        Ok(())
    }

    /// Starts a new segment at the end of the log, unless the active one is empty.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn roll(&mut self) -> io::Result<()> {
        if self.active().with(|p| p.size()) == 0 {
            return Ok(());
        }
        let full = self.active().clone();
        full.write_indexes(&self.disk, &self.dir).await?;
        let fresh = Segment::create(&self.disk, &self.dir, self.end).await?;
        self.dir_changed = true;
        self.segments.push(Arc::new(fresh));
        self.publish();
        full.with(|p| p.seal());
        self.rolled = Some(self.end);
        mark(Mark::SegmentRolled);
        Ok(())
    }

    /// Where the newest segment begins, if it is new since this was last asked: a snapshot of the producers is due there.
    pub fn take_rolled(&mut self) -> Option<Offset> {
        self.rolled.take()
    }

    /// Writes what was known of the producers when the log ended at `at`, unless no segment begins or ends there any
    /// more. Durable only after [`LogStore::close`]: Kafka, too, leaves what is written at a roll to a background task,
    /// and a torn file is as good as none (`ProducerStateManager.takeSnapshot`).
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn write_producers(&mut self, at: Offset, content: &[u8]) -> io::Result<()> {
        let wanted = at == self.end || self.segments.iter().any(|s| s.base == at);
        if wanted && at > self.segments[0].base && self.snapshots.insert(at) {
            snapshots::write(&self.disk, &self.dir, at, content).await?;
            self.dir_changed = true;
        }
        Ok(())
    }

    /// Removes the snapshots beyond `to`, durably, before anything else can come to stand there.
    async fn remove_snapshots_above(&mut self, to: Offset) -> io::Result<()> {
        let gone = self.snapshots.split_off(&to.next());
        for &at in &gone {
            snapshots::remove(&self.disk, &self.dir, at).await?;
        }
        if !gone.is_empty() {
            self.sync_dir().await?;
        }
        Ok(())
    }

    fn publish(&self) {
        self.shared.replace(self.segments.clone());
    }

    /// Cuts off every batch that reaches to `to` or above, durably.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn truncate(&mut self, to: Offset) -> io::Result<()> {
        if to >= self.end {
            return Ok(());
        }
        if to <= self.segments[0].base {
            let start = self.segments[0].base;
            return self.truncate_fully(start).await;
        }
        self.announce_cut(to).await?;
        self.shared.mark_cut();
        let cut = self.cut(to).await;
        self.shared.mark_cut();
        cut
    }

    /// See [`BeforeCut`].
    pub fn before_cut(&mut self, call: BeforeCut) {
        self.before_cut = Some(call);
    }
    async fn announce_cut(&self, to: Offset) -> io::Result<()> {
        match &self.before_cut {
            Some(call) => call(to).await,
            None => Ok(()),
        }
    }

    async fn cut(&mut self, to: Offset) -> io::Result<()> {
        self.remove_snapshots_above(to).await?;
        let keep = self.segments.partition_point(|s| s.base < to);
        let gone = self.segments.split_off(keep);
        self.publish();
        // From the end, so that a crash in between leaves no hole.
        for segment in gone.iter().rev() {
            remove_files(&self.disk, &self.dir, segment.base).await?;
        }
        if !gone.is_empty() {
            self.sync_dir().await?;
        }
        let active = self.active();
        active.truncate(to, &self.config).await?;
        active.file.sync().await?;
        self.end = active.with(|p| p.next());
        self.flushed = self.flushed.min(self.end);
        self.unsynced = self.unsynced.min(self.segments.len() - 1);
        Ok(())
    }

    /// Throws everything away and starts anew at `start`, durably.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn truncate_fully(&mut self, start: Offset) -> io::Result<()> {
        self.announce_cut(start).await?;
        self.shared.mark_cut();
        let done = self.start_anew(start).await;
        self.shared.mark_cut();
        done
    }

    async fn start_anew(&mut self, start: Offset) -> io::Result<()> {
        self.remove_snapshots_above(Offset::NONE).await?;
        // From the end, each gone for good before the next one goes: if the oldest went first, what is left after a power
        // cut would pass for a log that starts later. And none may come back beside a new one of the same name.
        for segment in self.segments.iter().rev() {
            remove_files(&self.disk, &self.dir, segment.base).await?;
            self.disk.sync_dir(&self.dir).await?;
        }
        self.segments = vec![Arc::new(Segment::create(&self.disk, &self.dir, start).await?)];
        self.publish();
        (self.end, self.flushed, self.unsynced) = (start, start, 0);
        self.sync_dir().await
    }

    /// Lets go of the segments that hold nothing at or above `start`; the active one stays. Their files are renamed,
    /// and removed by [`LogStore::remove_doomed`]. Returns how many went.
    ///
    /// The oldest goes first, and is gone for good before the next one goes: recovery takes a segment that is missing
    /// in the middle for the end of the log.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn delete_segments_below(&mut self, start: Offset) -> io::Result<usize> {
        let ended = self.segments.partition_point(|s| s.with(|p| p.next()) <= start);
        let count = ended.min(self.segments.len() - 1);
        let gone: Vec<_> = self.segments.drain(..count).collect();
        self.unsynced = self.unsynced.saturating_sub(count);
        if count > 0 {
            self.publish();
        }
        for segment in &gone {
            self.doom(segment.base).await?;
        }
        Ok(count)
    }

    /// Gives a segment's files their last name, durably.
    async fn doom(&mut self, base: Offset) -> io::Result<()> {
        for suffix in ["log", "index", "timeindex"] {
            let path = format!("{}/{}.{suffix}", self.dir, stem(base));
            if self.disk.exists(&path).await? {
                let last = format!("{path}.deleted");
                self.disk.rename(&path, &last).await?;
                self.doomed.push(last);
            }
        }
        if self.snapshots.remove(&base) {
            snapshots::remove(&self.disk, &self.dir, base).await?;
        }
        self.sync_dir().await
    }

    /// Removes the files that were let go of (`file.delete.delay.ms` later).
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn remove_doomed(&mut self) -> io::Result<()> {
        for path in std::mem::take(&mut self.doomed) {
            if self.disk.exists(&path).await? {
                self.disk.remove(&path).await?;
                self.dir_changed = true;
            }
        }
        Ok(())
    }

    /// Puts a rewritten run of segments in place of the old ones. Returns what stands there now, or none, and drops the
    /// new file, if the log has changed there since: it was truncated, or deleted from.
    ///
    /// The rename to `.swap` decides: before it recovery throws the new file away, after it recovery finishes the exchange. The
    /// old files are gone for good before the new one takes a name among them.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn swap(&mut self, swap: Swap) -> io::Result<Option<Swapped>> {
        let Some(places) = self.places_of(&swap) else {
            self.disk.remove(&swap.path).await?;
            return Ok(None);
        };
        let base = swap.bases[0];
        let (new, path) = (format!("{}/{}.log.swap", self.dir, stem(base)), format!("{}/{}.log", self.dir, stem(base)));
        self.disk.rename(&swap.path, &new).await?;
        self.sync_dir().await?;
        for &old in swap.bases[1..].iter().rev() {
            remove_files(&self.disk, &self.dir, old).await?;
            if self.snapshots.remove(&old) {
                snapshots::remove(&self.disk, &self.dir, old).await?;
            }
        }
        self.sync_dir().await?;
        self.disk.rename(&new, &path).await?;
        self.sync_dir().await?;
        let mut positions = Positions::new(base);
        swap.batches.iter().for_each(|info| positions.push(info, &self.config));
        positions.seal();
        let segment = Arc::new(Segment::new(self.disk.open(&path, false).await?, positions, base));
        segment.write_indexes(&self.disk, &self.dir).await?;
        self.unsynced = match self.unsynced {
            n if n >= places.end => n - (places.len() - 1),
            n => n.min(places.start),
        };
        self.segments.splice(places, [segment]);
        self.publish();
        Ok(Some(Swapped { base, next: swap.next, batches: swap.batches }))
    }

    /// Where the segments that `swap` replaces stand, if they are still what they were.
    fn places_of(&self, swap: &Swap) -> Option<std::ops::Range<usize>> {
        let start = self.segments.iter().position(|s| Some(&s.base) == swap.bases.first())?;
        let places = start..start + swap.bases.len();
        let found = self.segments[..self.segments.len() - 1].get(places.clone())?;
        let same = found.iter().map(|s| s.base).eq(swap.bases.iter().copied())
            && found.last().is_some_and(|s| s.with(|p| p.next()) == swap.next);
        (same && self.shared.cuts() == swap.cuts).then_some(places)
    }

    /// Obeys other settings from the next append on.
    pub fn configure(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// Makes everything durable, older segments first. Returns the durable end.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn sync(&mut self) -> io::Result<Offset> {
        for segment in &self.segments[self.unsynced..] {
            segment.file.sync().await?;
        }
        self.unsynced = self.segments.len() - 1;
        if self.dir_changed {
            self.sync_dir().await?;
        }
        self.flushed = self.end;
        Ok(self.end)
    }

    async fn sync_dir(&mut self) -> io::Result<()> {
        self.disk.sync_dir(&self.dir).await?;
        self.dir_changed = false;
        Ok(())
    }

    /// Replaces the leader-epoch checkpoint.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn write_epochs(&self, entries: &[EpochEntry]) -> io::Result<()> {
        files::write_epochs(&self.disk, &self.dir, entries).await
    }

    /// Makes everything durable and writes the active segment's indexes: the last step before a clean shutdown.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn close(&mut self) -> io::Result<()> {
        self.active().write_indexes(&self.disk, &self.dir).await?;
        if self.snapshots.contains(&self.end) {
            snapshots::sync(&self.disk, &self.dir, self.end).await?;
        }
        self.sync().await?;
        Ok(())
    }
}

/// The batches of one append; nearly always one.
#[derive(Debug, Default)]
struct Infos {
    first: Option<BatchInfo>,
    more: Vec<BatchInfo>,
    bytes: u64,
}

impl Infos {
    fn push(&mut self, info: BatchInfo) {
        self.bytes += info.size as u64;
        match self.first {
            None => self.first = Some(info),
            Some(_) => self.more.push(info),
        }
    }
    fn iter(&self) -> impl Iterator<Item = &BatchInfo> {
        self.first.iter().chain(&self.more)
    }
    fn last_next(&self) -> Option<Offset> {
        self.iter().last().map(|i| i.next)
    }
    fn clear(&mut self) {
        *self = Self::default();
    }
    /// True if `info` must open a new segment, given what the active one says and that these batches come first.
    fn must_roll(&self, active_says: bool, info: &BatchInfo, size: u64, config: &LogConfig) -> bool {
        let full = size + self.bytes + info.size as u64 > u64::from(config.segment_bytes);
        active_says || (full && size + self.bytes > 0)
    }
}
