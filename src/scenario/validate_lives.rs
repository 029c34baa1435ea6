//! Whether nobody starts who was never down: what is known beforehand about the nodes' lives.
//!
//! Only faults at fixed moments are followed. Whoever may be hit at another moment, or by a target that is resolved
//! late, may be in any state, and is not complained about.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Action, BitRot, Cluster, DiskError, DiskFull, Fault, Misdirect, Target, When};
use super::units::Millis;
use super::validate::Check;
use crate::base::BrokerId;

/// What is known beforehand about a node at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Up,
    Down,
    /// It stands still.
    Paused,
    /// A target that is resolved at run time may have hit it.
    Perhaps,
}

/// What an action makes of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Dies,
    Starts,
    Stands,
    Resumes,
}

fn step_of(action: &Action) -> Option<(Step, &Target)> {
    match action {
        Action::PowerCut(t) | Action::Crash(t) | Action::Stop(t) | Action::Wipe(t) => Some((Step::Dies, t)),
        Action::Start(t) => Some((Step::Starts, t)),
        Action::Pause(t) | Action::Freeze(t) => Some((Step::Stands, t)),
        Action::Resume(t) => Some((Step::Resumes, t)),
        _ => None,
    }
}

/// One moment in the walk: a fault, or the end that it comes to by itself.
struct Moment<'a> {
    at: Millis,
    index: usize,
    step: Step,
    target: &'a Target,
    by_itself: bool,
}

/// Walks through the faults in the order of time with what is known about each node.
pub(super) fn sequence(check: &mut Check<'_>) {
    let scenario = check.scenario;
    let mut brokers: BTreeMap<BrokerId, Known> = scenario.cluster.nodes().map(|id| (id, Known::Up)).collect();
    // Whoever joins or leaves does so when its turn comes.
    let mut uncertain = scenario.joining();
    let mut moments = Vec::new();
    for (index, fault) in scenario.faults.iter().enumerate() {
        // A broker whose disk fails it ends by itself, at a time that nobody knows.
        if let Action::DiskError(DiskError { on, .. })
        | Action::DiskFull(DiskFull { on, .. })
        | Action::BitRot(BitRot { on, .. })
        | Action::Misdirect(Misdirect { on, .. }) = &fault.action
        {
            uncertain.extend(may_hit(on, &scenario.cluster));
        }
        let Some((step, target)) = step_of(&fault.action) else { continue };
        let (When::At(at), None) = (&fault.when, fault.every) else {
            uncertain.extend(may_hit(target, &scenario.cluster));
            continue;
        };
        let at = *at;
        moments.push(Moment { at, index, step, target, by_itself: false });
        if let Some(lasts) = fault.lasts {
            let step = if step == Step::Stands { Step::Resumes } else { Step::Starts };
            moments.push(Moment { at: Millis(at.0 + lasts.0), index, step, target, by_itself: true });
        }
    }
    moments.sort_by_key(|moment| moment.at);
    for id in &uncertain {
        if let Some(known) = brokers.get_mut(id) {
            *known = Known::Perhaps;
        }
    }
    for moment in moments {
        let path = format!("faults[{}].{}", moment.index, scenario.faults[moment.index].action.name());
        take(check, &mut brokers, &uncertain, &path, &moment);
    }
    healing(check);
}

/// Nodes that a target may mean.
fn may_hit(target: &Target, cluster: &Cluster) -> Vec<BrokerId> {
    match target {
        Target::Broker(id) | Target::Node(id) => vec![*id],
        Target::Client(_) => Vec::new(),
        Target::Region(name) => cluster.regions.get(name).cloned().unwrap_or_default(),
        Target::Controller | Target::Voter => cluster.nodes().collect(),
        _ => cluster.ids().collect(),
    }
}

fn take(
    check: &mut Check<'_>,
    brokers: &mut BTreeMap<BrokerId, Known>,
    uncertain: &BTreeSet<BrokerId>,
    path: &str,
    moment: &Moment<'_>,
) {
    let sure = match moment.target {
        Target::Broker(id) | Target::Node(id) => vec![*id],
        Target::AllBrokers => check.scenario.cluster.ids().collect(),
        Target::Client(_) => return,
        Target::Region(name) => check.scenario.cluster.regions.get(name).cloned().unwrap_or_default(),
        _ => return late(check, brokers, path, moment),
    };
    let one = matches!(moment.target, Target::Broker(_) | Target::Node(_));
    if !one && !moment.by_itself {
        nobody(check, brokers, path, (moment.step, &sure));
    }
    for id in sure {
        let Some(known) = brokers.get_mut(&id).filter(|_| !uncertain.contains(&id)) else { continue };
        // A dead node's disk can be wiped all the same.
        let wipes = matches!(check.scenario.faults[moment.index].action, Action::Wipe(_));
        let wrong = match (moment.step, *known) {
            (Step::Dies, Known::Down) if wipes => None,
            (Step::Dies | Step::Stands, Known::Down) => Some("is down already"),
            (Step::Stands, Known::Paused) => Some("stands still already"),
            (Step::Starts, Known::Up | Known::Paused) => Some("was never down"),
            (Step::Resumes, Known::Up | Known::Down) => Some("does not stand still"),
            _ => None,
        };
        if let Some(wrong) = wrong.filter(|_| one && !moment.by_itself) {
            check.complain(path, format!("{path}: {} {wrong} at that time", check.scenario.cluster.name_of(id)));
        }
        *known = match (moment.step, *known) {
            (Step::Dies, _) => Known::Down,
            (Step::Stands, Known::Down) => Known::Down,
            (Step::Stands, _) => Known::Paused,
            (Step::Starts, Known::Paused) => Known::Paused,
            (Step::Resumes, Known::Down) => Known::Down,
            (Step::Starts | Step::Resumes, _) => Known::Up,
        };
    }
}

/// Complains if of many that could start or resume not one can.
fn nobody(check: &mut Check<'_>, brokers: &BTreeMap<BrokerId, Known>, path: &str, (step, of): (Step, &[BrokerId])) {
    let (needed, what) = match step {
        Step::Starts => (Known::Down, "no broker is down at that time"),
        Step::Resumes => (Known::Paused, "no broker stands still at that time"),
        Step::Dies | Step::Stands => return,
    };
    if !of.iter().filter_map(|id| brokers.get(id)).any(|known| *known == needed || *known == Known::Perhaps) {
        check.complain(path, format!("{path}: {what}"));
    }
}

/// After a target that is only known at run time, nothing is certain.
fn late(check: &mut Check<'_>, brokers: &mut BTreeMap<BrokerId, Known>, path: &str, moment: &Moment<'_>) {
    let what = match moment.step {
        Step::Starts => "started",
        Step::Resumes => "resumed",
        Step::Dies | Step::Stands => "",
    };
    if !what.is_empty() && !moment.by_itself {
        let text = format!("{path}: only `broker`, `node`, `client`, `region` and \"all-brokers\" can be {what}");
        return check.complain(path, text);
    }
    for known in brokers.values_mut().filter(|known| **known != Known::Down) {
        *known = Known::Perhaps;
    }
}

/// A heal needs something that is wrong with a link before it.
fn healing(check: &mut Check<'_>) {
    let harms = |action: &Action| {
        matches!(
            action,
            Action::Cut(_)
                | Action::Isolate(_)
                | Action::Partition(_)
                | Action::Bridge(_)
                | Action::SlowLink(_)
                | Action::LossyLink(_)
                | Action::CorruptFrames(_)
                | Action::Clog(_)
                | Action::DelayRequest(_)
        )
    };
    let begins = |fault: &Fault| if let When::At(at) = fault.when { at } else { Millis(0) };
    let faults = &check.scenario.faults;
    for (i, fault) in faults.iter().enumerate() {
        let (Action::Heal(_), When::At(at)) = (&fault.action, &fault.when) else { continue };
        if !faults.iter().any(|harm| harms(&harm.action) && begins(harm) <= *at) {
            let path = format!("faults[{i}].heal");
            check.complain(&path, format!("{path}: nothing is wrong with any link before {at}"));
        }
    }
}
