//! What the three delivery properties share: which groups claim what of a partition that was read back.

use super::groups::{Account, Groups};
use super::verdict::{Audit, Span};

/// What an application's owners believe that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing is skipped.
    AtLeastOnce,
    /// Nothing is processed twice.
    AtMostOnce,
    /// Nothing is skipped, and no record has its effect twice.
    ExactlyOnce,
}

/// An application as far as the oracles know it.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its group.
    pub group: String,
    /// Where it reads.
    pub topics: Vec<String>,
    /// What it claims.
    pub delivery: Delivery,
    /// Its records change a store; without one, processing counts as the effect.
    pub has_store: bool,
}

/// The accounts of those that claim `delivery` and read the partition.
pub(super) fn claiming<'a>(
    delivery: Delivery,
    audit: &'a Audit,
    groups: &'a Groups,
    applications: &'a [Application],
) -> impl Iterator<Item = (&'a Application, &'a Account)> {
    let reads =
        move |app: &&Application| app.delivery == delivery && app.topics.iter().any(|topic| **topic == *audit.tp.topic);
    applications.iter().filter(reads).filter_map(|app| Some((app, groups.account(&app.group)?)))
}

/// The span in words.
pub(super) fn which(span: &Span) -> String {
    if span.first == span.last {
        format!("{} offset {}", span.tp, span.first)
    } else {
        format!("{} offsets {} to {}", span.tp, span.first, span.last)
    }
}
