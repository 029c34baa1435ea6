//! Opens a log after whatever happened to it (`LogLoader`, `LogSegment.recover`).
//!
//! Every batch header is read, because batches, not checkpoints, are the truth: offsets, epochs, producers and
//! indexes are made from them. Checksums are verified above the recovery point, unless the shutdown was clean. The
//! first thing that is no continuation of the log, a torn batch, a wrong checksum, a segment that does not begin
//! where the one before ended, ends the log; what follows is removed. What is kept is synced before it is called
//! recovered.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::BatchView;
use super::config::LogConfig;
use super::epochs::EpochCache;
use super::files;
use super::info::BatchInfo;
use super::positions::Positions;
use super::producers::{ProducerBatch, ProducerStates};
use super::segment::{Segment, remove_files, stem};
use super::snapshots;
use super::state::LogState;
use super::store::LogStore;
use super::walk::walk;
use crate::base::marks::{Mark, mark};
use crate::base::{LeaderEpoch, Offset, TopicId};
use crate::io::disk::Disk;

/// What the checkpoints of the log dir say of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Everything below was durable.
    pub recovery_point: Offset,
    /// The log starts here at the earliest.
    pub log_start: Offset,
    /// The log was closed and nothing has touched it since.
    pub clean: bool,
}

/// What recovery found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Offsets and epochs.
    pub state: LogState,
    /// The idempotent producers.
    pub producers: ProducerStates,
    /// Every batch that reaches above the log start, in order.
    pub batches: Vec<BatchInfo>,
    /// The topic, if `partition.metadata` names one.
    pub topic_id: Option<TopicId>,
    /// Bytes that were cut off because they were torn or did not fit.
    pub cut_bytes: u64,
}

/// Offsets of real logs stay far below; a file name above is none of ours.
const MAX_BASE: i64 = i64::MAX / 2;

/// Opens, or creates, the log in `dir` (`<log.dir>/<topic>-<partition>`).
///
/// # Errors
/// Those of the disk; `InvalidData` if `partition.metadata` is malformed.
pub async fn open(
    disk: &Disk,
    dir: &str,
    config: LogConfig,
    options: OpenOptions,
) -> io::Result<(LogStore, Recovered)> {
    if !disk.exists(dir).await? {
        files::create_dir(disk, dir).await?;
    }
    finish_swaps(disk, dir).await?;
    let (bases, snapshots) = files_of(disk, dir).await?;
    let mut load = Load { disk, dir, config, options, segments: Vec::new(), snapshots, found: Found::new() };
    load.segments(&bases).await?;
    load.apply_log_start().await?;
    load.producers().await?;
    load.write_indexes().await?;
    if !options.clean {
        load.sync().await?;
    }
    let checkpoint = files::read_epochs(disk, dir).await?.map(EpochCache::from_entries);
    let topic_id = files::read_partition_metadata(disk, dir).await?;
    let Load { segments, snapshots, mut found, .. } = load;
    let end = segments.last().map_or(options.log_start, |s| s.with(|p| p.next()));
    let start = options.log_start.max(segments.first().map_or(options.log_start, |s| s.base));
    let mut epochs = agreeing(checkpoint, end, &found.batches).unwrap_or(found.epochs);
    epochs.truncate_from_start(start);
    found.batches.retain(|b| b.next > start);
    let recovered = Recovered {
        state: LogState::recovered(start, end, epochs),
        producers: found.producers,
        batches: found.batches,
        topic_id,
        cut_bytes: found.cut_bytes,
    };
    Ok((LogStore::new(disk.clone(), dir.to_string(), config, (segments, snapshots)), recovered))
}

/// The checkpoint, which may know leaderships without records, if it agrees with every batch.
fn agreeing(checkpoint: Option<EpochCache>, end: Offset, batches: &[BatchInfo]) -> Option<EpochCache> {
    let mut cache = checkpoint?;
    cache.truncate_from_end(end);
    let agrees = |b: &BatchInfo| b.epoch == LeaderEpoch::NONE || cache.epoch_at(b.base) == Some(b.epoch);
    batches.iter().all(agrees).then_some(cache)
}

/// Finishes the exchange of segments that were rewritten: the `.swap` file is whole and durable, and takes the place of every
/// segment that begins inside it (`LogLoader.completeSwapOperations`).
async fn finish_swaps(disk: &Disk, dir: &str) -> io::Result<()> {
    let names = disk.list(dir).await?;
    for (name, base) in names.iter().filter_map(|n| Some((n, parse_stem(n.strip_suffix(".log.swap")?)?))) {
        let path = format!("{dir}/{name}");
        let file = disk.open(&path, false).await?;
        let mut end = base;
        let walked = walk(&file, 0, file.len().await?, |batch, _| {
            let info = BatchInfo::of(&batch);
            if info.base < end || info.next <= info.base || batch.verify_crc().is_err() {
                return ControlFlow::Break(());
            }
            end = info.next;
            ControlFlow::Continue(())
        })
        .await?;
        if !walked.whole || end == base {
            tracing::warn!(dir, name, "removed a rewritten segment that cannot be read");
            disk.remove(&path).await?;
            continue;
        }
        let replaced =
            names.iter().filter_map(|n| parse_stem(n.strip_suffix(".log")?)).filter(|b| *b > base && *b < end);
        for old in replaced {
            remove_files(disk, dir, old).await?;
        }
        disk.sync_dir(dir).await?;
        disk.rename(&path, &format!("{dir}/{}.log", stem(base))).await?;
        disk.sync_dir(dir).await?;
    }
    Ok(())
}

/// The base offsets of the segment files, rising, and the offsets of the producer snapshots. What an interrupted step left
/// behind is removed.
async fn files_of(disk: &Disk, dir: &str) -> io::Result<(Vec<Offset>, BTreeSet<Offset>)> {
    let (mut bases, mut snapshots) = (Vec::new(), BTreeSet::new());
    for name in disk.list(dir).await? {
        match name.rsplit_once('.') {
            Some((digits, "log")) => bases.extend(parse_stem(digits)),
            Some((digits, snapshots::SUFFIX)) => snapshots.extend(parse_stem(digits)),
            Some((_, "tmp" | "deleted" | "cleaned")) => disk.remove(&format!("{dir}/{name}")).await?,
            _ => {}
        }
    }
    bases.sort_unstable();
    Ok((bases, snapshots))
}

fn parse_stem(digits: &str) -> Option<Offset> {
    let well_formed = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    let base: i64 = well_formed.then(|| digits.parse().ok())??;
    (base <= MAX_BASE).then_some(Offset(base))
}

/// What the batches say.
struct Found {
    batches: Vec<BatchInfo>,
    producers: ProducerStates,
    epochs: EpochCache,
    cut_bytes: u64,
}

impl Found {
    fn new() -> Self {
        Self { batches: Vec::new(), producers: ProducerStates::new(), epochs: EpochCache::default(), cut_bytes: 0 }
    }
    fn take(&mut self, batch: &BatchView<&[u8]>, info: BatchInfo) {
        self.producers.record(&ProducerBatch::of(batch), info.base);
        if self.epochs.latest().unwrap_or(LeaderEpoch::NONE) < info.epoch {
            self.epochs.assign(info.epoch, info.base);
        }
        self.batches.push(info);
    }
}

struct Load<'a> {
    disk: &'a Disk,
    dir: &'a str,
    config: LogConfig,
    options: OpenOptions,
    segments: Vec<Arc<Segment>>,
    snapshots: BTreeSet<Offset>,
    found: Found,
}

impl Load<'_> {
    /// Loads segments as long as each continues the one before; removes the rest.
    async fn segments(&mut self, bases: &[Offset]) -> io::Result<()> {
        let mut whole = true;
        for (i, &base) in bases.iter().enumerate() {
            let expected = self.segments.last().map_or(base, |s| s.with(|p| p.next()));
            if !whole || base != expected {
                return self.remove(&bases[i..]).await;
            }
            whole = self.segment(base).await?;
        }
        Ok(())
    }

    /// Loads one segment and cuts it where it stops making sense. Returns false if it was cut.
    async fn segment(&mut self, base: Offset) -> io::Result<bool> {
        let file = self.disk.open(&format!("{}/{}.log", self.dir, stem(base)), false).await?;
        let size = file.len().await?;
        let mut positions = Positions::new(base);
        let Self { found, config, options, .. } = self;
        let walked = walk(&file, 0, size, |batch, _| {
            let info = BatchInfo::of(&batch);
            let verify = !options.clean && info.next > options.recovery_point;
            if !continues(&info, &positions, base) || (verify && batch.verify_crc().is_err()) {
                return ControlFlow::Break(());
            }
            positions.push(&info, config);
            found.take(&batch, info);
            ControlFlow::Continue(())
        })
        .await?;
        if !walked.whole {
            mark(Mark::TornTailCut);
            tracing::warn!(dir = self.dir, segment = base.0, at = walked.end, size, "cut the tail of a segment");
            file.truncate(walked.end).await?;
            file.sync().await?;
            self.found.cut_bytes += size - walked.end;
        }
        if let Some(before) = self.segments.last() {
            before.with(|p| p.seal());
        }
        self.segments.push(Arc::new(Segment::new(file, positions, base)));
        Ok(walked.whole)
    }

    /// From the end, so that a crash in between leaves no hole.
    async fn remove(&mut self, bases: &[Offset]) -> io::Result<()> {
        for &base in bases.iter().rev() {
            tracing::warn!(dir = self.dir, segment = base.0, "removed a segment that does not continue the log");
            for suffix in ["index", "timeindex", "log"] {
                let path = format!("{}/{}.{suffix}", self.dir, stem(base));
                if !self.disk.exists(&path).await? {
                    continue;
                }
                if suffix == "log" {
                    self.found.cut_bytes += self.disk.open(&path, false).await?.len().await?;
                }
                self.disk.remove(&path).await?;
            }
        }
        self.disk.sync_dir(self.dir).await
    }

    /// A log that ends below its own start begins anew there; a log without a segment gets one.
    async fn apply_log_start(&mut self) -> io::Result<()> {
        let start = self.options.log_start;
        let end = self.segments.last().map(|s| s.with(|p| p.next()));
        if end.is_some_and(|end| end >= start) {
            return Ok(());
        }
        let bases: Vec<_> = self.segments.drain(..).map(|s| s.base).collect();
        if !bases.is_empty() {
            self.remove(&bases).await?;
        }
        self.found = Found { cut_bytes: self.found.cut_bytes, ..Found::new() };
        self.segments.push(Arc::new(Segment::create(self.disk, self.dir, start).await?));
        self.sync().await
    }

    /// Removes the snapshots that do not belong to the log, durably, because other records may come to stand where they
    /// end; and learns from the newest one of producers whose batches are gone.
    async fn producers(&mut self) -> io::Result<()> {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let bases: BTreeSet<_> = self.segments.iter().map(|s| s.base).collect();
        let end = self.segments.last().map_or(Offset::ZERO, |s| s.with(|p| p.next()));
        let start = bases.first().map_or(self.options.log_start, |first| self.options.log_start.max(*first));
        let strays = snapshots::strays(&self.snapshots, &bases, start, end);
        for &at in &strays {
            snapshots::remove(self.disk, self.dir, at).await?;
            self.snapshots.remove(&at);
        }
        if !strays.is_empty() {
            self.disk.sync_dir(self.dir).await?;
        }
        if let Some(states) = snapshots::load(self.disk, self.dir, &mut self.snapshots).await? {
            self.found.producers.adopt(&states);
        }
        Ok(())
    }

    async fn write_indexes(&self) -> io::Result<()> {
        for segment in &self.segments[..self.segments.len() - 1] {
            segment.write_indexes(self.disk, self.dir).await?;
        }
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        for segment in &self.segments {
            segment.file.sync().await?;
        }
        self.disk.sync_dir(self.dir).await
    }
}

/// True if `info` may follow what `positions` hold.
fn continues(info: &BatchInfo, positions: &Positions, segment: Offset) -> bool {
    info.base >= positions.next()
        && info.next > info.base
        && info.base.0 <= MAX_BASE
        && (info.next - 1) - segment <= i64::from(i32::MAX)
}
