//! AT-MOST-ONCE: an application that claims it processes no record twice.
//!
//! No stricter: a record whose processing was begun and not completed counts as not processed; a value that a producer
//! without idempotence wrote twice is two records; a commit of which an attempt was lost may be stored over later ones when that
//! attempt arrives after all, and whoever starts next starts there.

use super::delivery::{Application, Delivery, claiming, which};
use super::groups::Groups;
use super::verdict::{Audit, Findings};

pub(super) fn audit(audit: &Audit, groups: &Groups, applications: &[Application], out: &mut Findings) {
    for (app, account) in claiming(Delivery::AtMostOnce, audit, groups, applications) {
        for span in account.repeated(&audit.tp).into_iter().filter(|s| !account.may_fall_back_to(&audit.tp, s.first)) {
            out.report("AT-MOST-ONCE", None, format!("group {}: {} processed again", app.group, which(&span)));
        }
    }
}
