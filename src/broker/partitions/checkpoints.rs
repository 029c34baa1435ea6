//! The checkpoint files of a log directory, and what stands in them.

use std::io;

use tokio::sync::{Mutex, MutexGuard};

use crate::base::{Offset, TopicPartition};
use crate::io::disk::Disk;
use crate::log::checkpoint::{self, Offsets};

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub high_watermarks: Offsets,
    pub recovery_points: Offsets,
    pub log_starts: Offsets,
    /// Below these offsets the cleaner has cleaned.
    pub cleaned: Offsets,
}

/// The files of one directory; one writer at a time.
#[derive(Debug)]
pub(super) struct CheckpointFiles {
    disk: Disk,
    dir: String,
    written: Mutex<Written>,
}

impl CheckpointFiles {
    /// `written` is what the files in `dir` say now.
    pub fn new(disk: Disk, dir: String, written: Written) -> Self {
        Self { disk, dir, written: Mutex::new(written) }
    }
    /// What the files say; whoever holds it may write them.
    pub async fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().await
    }
    /// Writes one of the files, if that changes what it says.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn write(
        &self,
        name: &str,
        written: &mut Offsets,
        make: impl FnOnce(&Offsets) -> Offsets,
    ) -> io::Result<()> {
        let now = make(written);
        if now != *written {
            checkpoint::write_offsets(&self.disk, &self.dir, name, &now).await?;
            *written = now;
        }
        Ok(())
    }
    /// Takes back that a log is durable, or clean, up to more than `to`. What comes to stand above `to` after a cut is not what was
    /// durable there, and recovery does not verify what lies below a recovery point (`LogManager.truncateTo`,
    /// `LogCleaner.maybeTruncateCheckpoint`).
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn lower(&self, tp: &TopicPartition, to: Offset) -> io::Result<()> {
        let written = &mut *self.written.lock().await;
        let lowered = |offsets: &Offsets| {
            let mut lowered = offsets.clone();
            if let Some(point) = lowered.get_mut(tp) {
                *point = to.min(*point);
            }
            lowered
        };
        self.write(checkpoint::RECOVERY_POINT, &mut written.recovery_points, lowered).await?;
        self.write(checkpoint::CLEANER, &mut written.cleaned, lowered).await
    }
}

#[cfg(all(test, madsim))]
mod tests {
    use super::*;
    use crate::io::sim::{WorldConfig, run};

    #[test]
    fn a_recovery_point_is_lowered_in_its_file_and_never_raised() {
        let over = run(1, WorldConfig::default(), |_| async move {
            let disk = Disk::mount("/data").expect("a disk");
            let (a, b) = (TopicPartition::new("a", 0), TopicPartition::new("b", 0));
            let points = Offsets::from([(a.clone(), Offset(70)), (b.clone(), Offset(9))]);
            let files = CheckpointFiles::new(disk.clone(), String::new(), Written::default());
            {
                let written = &mut *files.lock().await;
                let points = |_: &Offsets| points;
                files.write(checkpoint::RECOVERY_POINT, &mut written.recovery_points, points).await.expect("a write");
            }
            for (tp, to) in [(&a, 50), (&b, 10), (&TopicPartition::new("c", 0), 1)] {
                files.lower(tp, Offset(to)).await.expect("a write");
            }
            checkpoint::read_offsets(&disk, "", checkpoint::RECOVERY_POINT).await.expect("the file")
        });
        let left = over.outcome.expect("nothing panics");
        let expected = [(TopicPartition::new("a", 0), Offset(50)), (TopicPartition::new("b", 0), Offset(9))];
        assert_eq!(left, Offsets::from(expected));
    }
}
