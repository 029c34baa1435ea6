//! The log cleaner: one task that cleans the filthiest of the compacted logs, one after the other (`LogCleaner`).
//!
//! What is cleaned, and how, is decided in [`crate::log::cleaner`]; here is only who, when, and what becomes of errors.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Partitions;
use super::partition::Partition;
use crate::base::marks::{Mark, mark};
use crate::base::{Offset, TopicPartition};
use crate::io::{clock, time};
use crate::log::LogReader;
use crate::log::cleaner::{Dirty, Progress};
use crate::log::compaction::Cleaning;

/// A log that is due.
struct Due {
    partition: Arc<Partition>,
    reader: LogReader,
    /// How often the log had been cut when it was measured.
    cuts: u64,
    dirty: Dirty,
}

impl Partitions {
    pub(super) async fn clean_logs(self) {
        let backoff = Duration::from_millis(self.shared.config.cleaner_backoff_ms.max(1));
        // Logs that hold what cannot be read: Kafka leaves them alone as well, until the next start.
        let mut uncleanable = BTreeSet::new();
        loop {
            let due = self.filthiest(&uncleanable).await;
            let done = match &due {
                Some(due) => self.clean(due).await,
                None => Ok(false),
            };
            match (done, due) {
                (Ok(true), _) => {}
                (Ok(false), _) => time::sleep(backoff).await,
                (Err(error), Some(due)) if error.kind() == ErrorKind::InvalidData => {
                    tracing::warn!(partition = %due.partition.tp, %error, "uncleanable");
                    uncleanable.insert(due.partition.tp.clone());
                }
                (Err(error), _) => return self.shared.fail(Arc::new(error)),
            }
        }
    }

    async fn filthiest(&self, uncleanable: &BTreeSet<TopicPartition>) -> Option<Due> {
        // Before that, the topics' own settings are not known.
        if !self.applied.load(Ordering::Relaxed) {
            return None;
        }
        let mut filthiest: Option<Due> = None;
        for partition in self.all() {
            let config = partition.log_config();
            if !config.compact || uncleanable.contains(&partition.tp) {
                continue;
            }
            let cleaned = self.logs.cleaned(&partition.tp).await;
            let Some(due) = due(partition, cleaned) else { continue };
            if due.dirty.is_due(config.min_cleanable_dirty_ratio)
                && filthiest.as_ref().is_none_or(|f| due.dirty.is_filthier_than(&f.dirty))
            {
                filthiest = Some(due);
            }
        }
        filthiest
    }

    /// Cleans one log. Returns false if it changed meanwhile: then it is looked at again later.
    async fn clean(&self, due: &Due) -> io::Result<bool> {
        let Due { partition, reader, cuts, dirty } = due;
        let Some(producers) = partition.look(|core| core.producers().last_offsets().collect()) else {
            return Ok(false);
        };
        let dir = self.logs.path(&partition.tp);
        let cleaning = Cleaning {
            disk: self.logs.disk(),
            dir: &dir,
            config: partition.log_config(),
            buffer_bytes: self.shared.config.cleaner_dedupe_buffer_bytes,
            producers,
            now_wall_ms: clock::now().wall_ms,
        };
        let end = match self.rewrite(partition, reader, &cleaning, dirty).await {
            // A truncation or a removal moves what is being read.
            Err(error) if reader.cuts() != *cuts || error.kind() == ErrorKind::NotFound => {
                tracing::info!(partition = %partition.tp, %error, "cleaning abandoned");
                return Ok(false);
            }
            other => other?,
        };
        let Some(end) = end else { return Ok(false) };
        self.logs.set_cleaned(&partition.tp, end).await?;
        mark(Mark::LogCompacted);
        Ok(true)
    }
    async fn rewrite(
        &self,
        partition: &Arc<Partition>,
        reader: &LogReader,
        cleaning: &Cleaning<'_>,
        dirty: &Dirty,
    ) -> io::Result<Option<Offset>> {
        let plan = cleaning.plan(reader, dirty).await?;
        for n in 0..plan.groups() {
            if let Some(swap) = cleaning.rewrite(&plan, n).await?
                && !partition.swap(swap).await
            {
                return Ok(None);
            }
        }
        Ok(Some(plan.end()))
    }
}

fn due(partition: Arc<Partition>, cleaned: Offset) -> Option<Due> {
    let reader = partition.reader()?;
    let cuts = reader.cuts();
    let config = partition.log_config();
    let (log_start, high_watermark) = partition.look(|core| (core.log().log_start(), core.high_watermark()))?;
    let progress = Progress { cleaned, log_start, high_watermark, now_wall_ms: clock::now().wall_ms };
    let dirty = Dirty::of(&reader.segments(), &config, &progress);
    Some(Due { partition, reader, cuts, dirty })
}
