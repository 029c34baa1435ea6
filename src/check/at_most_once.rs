//! AT-MOST-ONCE: an application that claims it processes no record twice.
//!
//! No stricter: a record whose processing was begun and not completed counts as not processed; a value that a producer
//! without idempotence wrote twice is two records.

use super::delivery::{Application, Delivery, claiming, which};
use super::groups::Groups;
use super::verdict::{Audit, Findings};

pub(super) fn audit(audit: &Audit, groups: &Groups, applications: &[Application], out: &mut Findings) {
    for (app, account) in claiming(Delivery::AtMostOnce, audit, groups, applications) {
        for span in account.repeated(&audit.tp) {
            out.report("AT-MOST-ONCE", None, format!("group {}: {} processed again", app.group, which(&span)));
        }
    }
}
