//! AT-LEAST-ONCE: an application that claims it skips no record: whatever is committed past was processed.
//!
//! No stricter: a record that cannot be processed and is passed over, or written to the dead-letter topic, was dealt
//! with; what retention has removed, or a cleaner has taken, from the leader that a member read from may still be on another
//! replica (both run on each by itself); what lies above the committed offset may still come;
//! where an election has given up what was committed (`ground::restart`), new records may stand at offsets that the
//! application is past.

use std::ops::Range;

use super::delivery::{Application, Delivery, claiming, which};
use super::groups::Groups;
use super::verdict::{Audit, Findings};
use crate::base::Offset;

pub(super) fn audit(
    audit: &Audit,
    sure: &Range<Offset>,
    groups: &Groups,
    applications: &[Application],
    out: &mut Findings,
) {
    for (app, account) in claiming(Delivery::AtLeastOnce, audit, groups, applications) {
        for span in account.skipped(audit, sure) {
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
