//! What runs in the background: deadlines, log jobs, the ISR scan, checkpoints; and the clean end of it all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Partitions;
use super::partition::Partition;
use crate::io::task::TaskSet;
use crate::io::time;

/// `log.initial.task.delay.ms`
const INITIAL_TASK_DELAY: Duration = Duration::from_secs(30);
/// `producer.id.expiration.check.interval.ms`
const PRODUCER_EXPIRY_INTERVAL: Duration = Duration::from_secs(600);

impl Partitions {
    pub(super) fn start_upkeep(&self, tasks: &mut TaskSet) {
        let shared = self.shared.clone();
        tasks.spawn("deadlines", async move { shared.requests.run_deadlines().await });
        let (logs, shared) = (self.logs.clone(), self.shared.clone());
        tasks.spawn("log-jobs", async move { logs.run(&shared).await });
        let config = &self.shared.config;
        let scan = Duration::from_millis((config.replica_lag_time_max_ms / 2).max(1));
        let high_watermarks = Duration::from_millis(config.high_watermark_checkpoint_interval_ms.max(1));
        let recovery = Duration::from_millis(config.recovery_checkpoint_interval_ms.max(1));
        tasks.spawn("isr-scan", self.clone().scan_isr(scan));
        tasks.spawn("high-watermark-checkpoint", self.clone().checkpoint_high_watermarks(high_watermarks));
        tasks.spawn("recovery-checkpoint", self.clone().checkpoint_recovery_points(recovery));
        let retention = Duration::from_millis(config.retention_check_interval_ms.max(1));
        tasks.spawn("log-retention", self.clone().retain(retention));
        if config.cleaner_enable {
            tasks.spawn("log-cleaner", self.clone().clean_logs());
        }
        tasks.spawn("producer-expiry", self.clone().expire_producers());
    }
    async fn scan_isr(self, every: Duration) {
        let mut interval = time::interval(every);
        loop {
            interval.tick().await;
            for partition in self.all() {
                partition.with(|core, ctx, out| core.scan_isr(ctx, out));
            }
        }
    }
    async fn checkpoint_high_watermarks(self, every: Duration) {
        let mut interval = time::interval(every);
        loop {
            interval.tick().await;
            if let Err(error) = self.logs.checkpoint_high_watermarks(&self.all()).await {
                self.shared.fail(Arc::new(error));
                return;
            }
        }
    }
    /// Segments that are full are made durable here, as Kafka does it after a roll; recovery starts above them.
    async fn checkpoint_recovery_points(self, every: Duration) {
        let mut interval = time::interval(every);
        loop {
            interval.tick().await;
            let all = self.all();
            all.iter().filter(|p| has_full_segments(p)).for_each(|p| p.sync());
            if let Err(error) = self.logs.checkpoint_recovery_points(&all).await {
                self.shared.fail(Arc::new(error));
                return;
            }
        }
    }
    async fn retain(self, every: Duration) {
        time::sleep(INITIAL_TASK_DELAY).await;
        let mut interval = time::interval(every);
        loop {
            interval.tick().await;
            // Before that, the topics' own settings are not known: a log that is to be kept for ever would shrink.
            if self.applied.load(Ordering::Relaxed) {
                self.all().iter().for_each(Partition::retain);
            }
        }
    }
    async fn expire_producers(self) {
        let mut interval = time::interval(PRODUCER_EXPIRY_INTERVAL);
        let expiration_ms = self.shared.config.producer_id_expiration_ms;
        loop {
            interval.tick().await;
            for partition in self.all() {
                partition.with(|core, ctx, _| core.expire_producers(ctx, expiration_ms));
            }
        }
    }
    /// Stops serving, makes all logs durable, writes the checkpoints and marks the directory as cleanly shut down.
    /// Whatever still waits is answered NOT_LEADER_OR_FOLLOWER.
    ///
    /// # Errors
    /// Those of the disk; the directory is not marked then.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.shared.fetchers.stop();
        let all = self.all();
        let closing: Vec<_> = all.iter().filter_map(Partition::stop).collect();
        for closed in closing {
            closed.await.map_err(|_| io::Error::other("a log has failed"))?;
        }
        self.logs.checkpoint_high_watermarks(&all).await?;
        self.logs.checkpoint_recovery_points(&all).await?;
        self.logs.mark_clean(self.shared.broker_epoch()).await
    }
}

/// True if a segment that is no longer written to may not be durable yet.
fn has_full_segments(partition: &Partition) -> bool {
    let Some(durable) = partition.look(|core| core.log().durable_end()) else { return false };
    let active = partition.reader().and_then(|reader| reader.segments().last().map(|s| s.base));
    active.is_some_and(|base| base > durable)
}
