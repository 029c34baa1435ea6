//! AT-LEAST-ONCE: an application that claims it skips no record: whatever is committed past was processed.
//!
//! No stricter: a record that cannot be processed and is passed over, or written to the dead-letter topic, was dealt
//! with; what retention has removed is gone; what lies above the committed offset may still come.

use super::Promises;
use super::delivery::{Delivery, claiming, which};
use super::groups::Groups;
use super::verdict::{Audit, Findings};

pub(super) fn audit(audit: &Audit, groups: &Groups, promises: &Promises, out: &mut Findings) {
    for (app, account) in claiming(Delivery::AtLeastOnce, audit, groups, promises) {
        for span in account.skipped(audit) {
            let committed = account.committed.get(&audit.tp).copied().unwrap_or_default();
            let what = which(&span);
            out.report(
                "AT-LEAST-ONCE",
                None,
                format!("group {}: {what} never processed, though {committed} is committed", app.group),
            );
        }
    }
}
