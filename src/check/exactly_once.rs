//! EXACTLY-ONCE: of an application that claims it no record is skipped, and none has its effect twice.
//!
//! No stricter: a record may be processed again if its effect on the store is not; see AT-LEAST-ONCE for what counts as
//! skipped. Without a store nothing tells a record from its repetition, and where the coordinator has forgotten what was committed,
//! because its time was over (KIP-211), the next reader starts where `auto.offset.reset` says.

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
    for (app, account) in claiming(Delivery::ExactlyOnce, audit, groups, applications) {
        for span in account.skipped(audit, sure) {
            out.report("EXACTLY-ONCE", None, format!("group {}: {} never processed", app.group, which(&span)));
        }
        let twice = match app.has_store {
            true => account.effects_repeated(&audit.tp),
            false if account.expired.contains(&audit.tp) => Vec::new(),
            false => account.repeated(&audit.tp),
        };
        for span in twice {
            let what = if app.has_store { "had its effect again" } else { "processed again" };
            out.report("EXACTLY-ONCE", None, format!("group {}: {} {what}", app.group, which(&span)));
        }
    }
}
