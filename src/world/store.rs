//! The store of an application: one table with a primary key, as a database that outlives the processes which use it.
//!
//! Each statement is atomic and takes effect between its call and its answer, so that a process may die without knowing
//! whether it did.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::io::time;

/// How long a statement is on its way, and its answer.
const ONE_WAY: Duration = Duration::from_micros(500);

/// There is a row with this key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("duplicate key")]
pub struct DuplicateKey;

/// The table; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Store(Arc<Mutex<BTreeMap<String, String>>>);

impl Store {
    /// `INSERT`: adds a row.
    ///
    /// # Errors
    /// There is one with this key; nothing has changed.
    pub async fn insert(&self, key: &str, contents: &str) -> Result<(), DuplicateKey> {
        self.statement(|rows| match rows.contains_key(key) {
            true => Err(DuplicateKey),
            false => {
                rows.insert(key.to_owned(), contents.to_owned());
                Ok(())
            }
        })
        .await
    }
    /// `INSERT ... ON CONFLICT DO UPDATE`: true if the table is another one now.
    pub async fn upsert(&self, key: &str, contents: &str) -> bool {
        let put = |rows: &mut BTreeMap<String, String>| rows.insert(key.to_owned(), contents.to_owned());
        self.statement(put).await.as_deref() != Some(contents)
    }
    /// `SELECT`: true if there is such a row.
    pub async fn exists(&self, key: &str) -> bool {
        self.statement(|rows| rows.contains_key(key)).await
    }
    async fn statement<R>(&self, run: impl FnOnce(&mut BTreeMap<String, String>) -> R) -> R {
        time::sleep(ONE_WAY).await;
        let answer = run(&mut self.0.lock());
        time::sleep(ONE_WAY).await;
        answer
    }
}
