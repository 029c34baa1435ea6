//! AT-MOST-ONCE: an application that claims it processes no record twice.
//!
//! No stricter: a record whose processing was begun and not completed counts as not processed; a value that a producer
//! without idempotence wrote twice is two records; a commit of which an attempt was lost may be stored over later ones when that
//! attempt arrives after all, and whoever starts next starts there; where the coordinator has forgotten what was committed, because
//! its time was over (KIP-211), the next reader starts where `auto.offset.reset` says.

use super::delivery::{Application, Delivery, claiming, which};
use super::ground::Ground;
use super::groups::{Account, Groups};
use super::verdict::{Audit, Findings, Span};

pub(super) fn audit(audit: &Audit, ground: &Ground, groups: &Groups, applications: &[Application], out: &mut Findings) {
    for (app, account) in claiming(Delivery::AtMostOnce, audit, groups, applications) {
        if account.expired.contains(&audit.tp) {
            continue;
        }
        for span in account.repeated(&audit.tp).iter().filter(|span| !fell_back(account, span, ground)) {
            out.report("AT-MOST-ONCE", None, format!("group {}: {} processed again", app.group, which(span)));
        }
    }
}

/// True if a lost attempt of a commit may have led a reader back to the beginning of a span, or to where nothing is left before it.
fn fell_back(account: &Account, span: &Span, ground: &Ground) -> bool {
    let mut back = account.late.get(&span.tp).into_iter().flatten().filter(|offset| **offset <= span.first);
    back.any(|offset| *offset == span.first || ground.is_gone(&span.tp, *offset..span.first))
}
