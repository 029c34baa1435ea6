//! The log under a coordinator of a test: what was appended, how much of it is committed, and what is left of it when another broker
//! takes over.

use crate::base::Now;
use crate::group::{AppendId, Coordinator, LogRecord};

#[derive(Default)]
pub struct Journal {
    appends: Vec<(AppendId, Vec<LogRecord>)>,
    committed: usize,
}

impl Journal {
    pub fn append(&mut self, id: AppendId, records: Vec<LogRecord>) {
        assert!(self.appends.last().is_none_or(|(last, _)| *last < id), "appends come in order");
        self.appends.push((id, records));
    }
    /// The high watermark reaches the end; returns the last append, if there is one.
    pub fn commit(&mut self) -> Option<AppendId> {
        self.committed = self.appends.len();
        self.appends.last().map(|(last, _)| *last)
    }
    pub fn is_committed(&self) -> bool {
        self.committed == self.appends.len()
    }
    /// How many appends there are.
    pub fn len(&self) -> usize {
        self.appends.len()
    }
    /// All that is in the log.
    pub fn records(&self) -> impl Iterator<Item = &LogRecord> {
        self.appends.iter().flat_map(|(_, records)| records)
    }
    /// What the high watermark has passed.
    pub fn committed(&self) -> impl Iterator<Item = &LogRecord> {
        self.appends[..self.committed].iter().flat_map(|(_, records)| records)
    }
    /// Another broker leads, with what is committed, and perhaps with what is not; its appends are numbered anew.
    pub fn change_hands(&mut self, keep_uncommitted: bool) {
        if !keep_uncommitted {
            self.appends.truncate(self.committed);
        }
        self.committed = self.appends.len();
        self.appends.iter_mut().for_each(|(id, _)| *id = AppendId(0));
    }
    /// Has a coordinator read what is committed.
    pub fn load(&self, coordinator: &mut Coordinator, now: Now) {
        for record in self.committed() {
            coordinator.replay(now, &record.key, record.value.as_deref()).unwrap();
        }
        coordinator.loaded(now);
    }
}
