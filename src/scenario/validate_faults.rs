//! Whether faults can happen: whom they hit exists, and nobody starts who was never down.

use std::collections::BTreeMap;

use super::model::{Action, Fault, Target};
use super::validate::Check;
use crate::base::BrokerId;

/// What is known beforehand about a broker at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Up,
    Down,
    Paused,
    /// A target that is resolved at run time may have hit it.
    Perhaps,
}

pub(super) fn faults(check: &mut Check<'_>) {
    let scenario = check.scenario;
    for (i, fault) in scenario.faults.iter().enumerate() {
        let path = format!("faults[{i}]");
        if fault.at > scenario.duration {
            let place = format!("{path}.at");
            check.complain(&place, format!("{place}: {} is after the end ({})", fault.at, scenario.duration));
        }
        for (key, target) in targets(&fault.action) {
            exists(check, &format!("{path}.{key}"), target);
        }
        if let Action::Cut(cut) = &fault.action
            && cut.from == cut.to
        {
            check.complain(format!("{path}.cut.to"), format!("{path}.cut: a node cannot be cut from itself"));
        }
    }
    sequence(check);
}

/// The targets of an action with the keys under which they stand.
fn targets(action: &Action) -> Vec<(String, &Target)> {
    match action {
        Action::PowerCut(t)
        | Action::Crash(t)
        | Action::Stop(t)
        | Action::Start(t)
        | Action::Pause(t)
        | Action::Resume(t)
        | Action::Isolate(t) => vec![(action.name().to_owned(), t)],
        Action::Cut(cut) => vec![("cut.from".to_owned(), &cut.from), ("cut.to".to_owned(), &cut.to)],
        Action::Heal(_) => Vec::new(),
    }
}

fn exists(check: &mut Check<'_>, path: &str, target: &Target) {
    match target {
        Target::Broker(id) => {
            check.broker(&format!("{path}.broker"), *id);
        }
        Target::LeaderOf(tp) => {
            check.partition(&format!("{path}.leader-of"), tp);
        }
        Target::Controller | Target::AllBrokers => {}
    }
}

/// Walks through the faults in the order of time with what is known about each broker.
fn sequence(check: &mut Check<'_>) {
    let scenario = check.scenario;
    let mut order: Vec<(usize, &Fault)> = scenario.faults.iter().enumerate().collect();
    order.sort_by_key(|(_, fault)| fault.at);
    let mut brokers: BTreeMap<BrokerId, Known> = scenario.cluster.ids().map(|id| (id, Known::Up)).collect();
    let mut cut = false;
    for (i, fault) in order {
        let path = format!("faults[{i}].{}", fault.action.name());
        match &fault.action {
            Action::PowerCut(t) | Action::Crash(t) | Action::Stop(t) => {
                step(check, &mut brokers, &path, t, Known::Down)
            }
            Action::Start(t) => step(check, &mut brokers, &path, t, Known::Up),
            Action::Pause(t) => step(check, &mut brokers, &path, t, Known::Paused),
            Action::Resume(t) => resume(check, &mut brokers, &path, t),
            Action::Cut(_) | Action::Isolate(_) => cut = true,
            Action::Heal(_) if !cut => check.complain(&path, format!("{path}: nothing is cut before {}", fault.at)),
            Action::Heal(_) => cut = false,
        }
    }
}

/// `target` becomes `next`: down, up by a start, or paused.
fn step(check: &mut Check<'_>, brokers: &mut BTreeMap<BrokerId, Known>, path: &str, target: &Target, next: Known) {
    let Target::Broker(id) = target else {
        return guess(brokers, path, check, target, next);
    };
    let Some(known) = brokers.get_mut(id) else { return };
    let wrong = match (*known, next) {
        (Known::Up | Known::Paused, Known::Up) => Some("was never down"),
        (Known::Down, Known::Down | Known::Paused) => Some("is down already"),
        (Known::Paused, Known::Paused) => Some("is paused already"),
        _ => None,
    };
    *known = next;
    if let Some(wrong) = wrong {
        check.complain(path, format!("{path}: broker {id} {wrong} at that time"));
    }
}

/// After a target that is only known at run time, nothing is certain; after all brokers, everything is.
fn guess(brokers: &mut BTreeMap<BrokerId, Known>, path: &str, check: &mut Check<'_>, target: &Target, next: Known) {
    let all = *target == Target::AllBrokers;
    if next == Known::Up && !all {
        return check.complain(path, format!("{path}: only `broker` and \"all-brokers\" can be started"));
    }
    if next == Known::Up && brokers.values().all(|known| matches!(known, Known::Up | Known::Paused)) {
        check.complain(path, format!("{path}: no broker is down at that time"));
    }
    for known in brokers.values_mut() {
        *known = match (all, next, *known) {
            (true, Known::Up, Known::Paused) => Known::Paused,
            (true, _, _) => next,
            (false, _, Known::Down) => Known::Down,
            (false, _, _) => Known::Perhaps,
        };
    }
}

fn resume(check: &mut Check<'_>, brokers: &mut BTreeMap<BrokerId, Known>, path: &str, target: &Target) {
    match target {
        Target::Broker(id) => match brokers.get_mut(id) {
            Some(known @ (Known::Paused | Known::Perhaps)) => *known = Known::Up,
            Some(_) => check.complain(path, format!("{path}: broker {id} is not paused at that time")),
            None => {}
        },
        Target::AllBrokers => {
            if brokers.values().all(|known| matches!(known, Known::Up | Known::Down)) {
                check.complain(path, format!("{path}: no broker is paused at that time"));
            }
            for known in brokers.values_mut().filter(|known| **known == Known::Paused) {
                *known = Known::Up;
            }
        }
        _ => check.complain(path, format!("{path}: only `broker` and \"all-brokers\" can be resumed")),
    }
}
