//! Whether expectations can be checked: what they name exists, their moments lie inside the run, their bounds have room.

use std::fmt::Display;

use super::model::{Action, Client, Fault, Role};
use super::units::{Between, Millis};
use super::validate::Check;
use super::validate_groups;
use crate::base::nearest::hint;
use crate::check::Reason;
use crate::wire::errors::error_name;
use kafka_protocol::ResponseError;

pub(super) fn expect(check: &mut Check<'_>) {
    outages(check);
    states(check);
    moves(check);
    others(check);
    validate_groups::expect(check);
}

fn outages(check: &mut Check<'_>) {
    for (i, outage) in check.scenario.expect.outages.iter().enumerate() {
        let path = format!("expect.outages[{i}]");
        check.partition(&format!("{path}.partition"), &outage.partition);
        span(check, &format!("{path}.between"), &outage.between);
        let phases = [("undetected", &outage.undetected), ("election", &outage.election), ("clients", &outage.clients)];
        for (key, phase) in phases {
            if let Some(between) = phase {
                span(check, &format!("{path}.{key}"), between);
            }
        }
    }
}

fn states(check: &mut Check<'_>) {
    for (i, state) in check.scenario.expect.states.iter().enumerate() {
        let path = format!("expect.states[{i}]");
        moment(check, &format!("{path}.at"), state.at);
        let known = check.partition(&format!("{path}.partition"), &state.partition);
        if state.leader.is_none() && state.isr.is_none() {
            check.complain(&path, format!("{path}: one of leader and isr is missing"));
        }
        let leader = state.leader.filter(|id| id.0 != -1).map(|id| (format!("{path}.leader"), id));
        let isr = state.isr.iter().flatten().enumerate().map(|(n, id)| (format!("{path}.isr[{n}]"), *id));
        let topic = check.scenario.topics.iter().find(|topic| *topic.name == *state.partition.topic);
        let moves = |fault: &Fault| matches!(&fault.action, Action::Reassign(r) if r.partition == state.partition);
        let moved = check.scenario.faults.iter().any(moves);
        let given = topic.and_then(|topic| topic.assignment.get(state.partition.partition as usize));
        let replicas = given.filter(|_| !moved);
        for (place, id) in leader.into_iter().chain(isr) {
            let stranger = replicas.is_some_and(|replicas| !replicas.contains(&id));
            if check.broker(&place, id) && known && stranger {
                check.complain(&place, format!("{place}: broker {id} has no replica of {}", state.partition));
            }
        }
    }
}

fn moves(check: &mut Check<'_>) {
    for (i, wanted) in check.scenario.expect.moves.iter().enumerate() {
        let path = format!("expect.moves[{i}]");
        let place = format!("{path}.partition");
        let moves = |fault: &Fault| matches!(&fault.action, Action::Reassign(r) if r.partition == wanted.partition);
        if check.partition(&place, &wanted.partition) && !check.scenario.faults.iter().any(moves) {
            check.complain(&place, format!("{place}: nothing reassigns {}", wanted.partition));
        }
        ordered(check, &format!("{path}.bytes"), &wanted.bytes);
        if let Some(took) = &wanted.took {
            span(check, &format!("{path}.took"), took);
        }
        if let Some(rate) = &wanted.rate {
            ordered(check, &format!("{path}.rate"), rate);
        }
    }
}

fn others(check: &mut Check<'_>) {
    let expect = &check.scenario.expect;
    for (i, controller) in expect.controller.iter().enumerate() {
        let path = format!("expect.controller[{i}]");
        moment(check, &format!("{path}.at"), controller.at);
        for (key, id) in [("is", controller.is), ("not", controller.not)] {
            if let Some(id) = id {
                let place = format!("{path}.{key}");
                if check.node(&place, id) && !check.scenario.voters().contains(&id) {
                    let name = check.scenario.cluster.name_of(id);
                    check.complain(&place, format!("{place}: {name} has no vote and is never the active controller"));
                }
            }
        }
    }
    for (i, availability) in expect.availability.iter().enumerate() {
        let path = format!("expect.availability[{i}]");
        check.partition(&format!("{path}.partition"), &availability.partition);
        ordered(check, &format!("{path}.between"), &availability.between);
    }
    for (key, bound) in
        [("expect.lost", &expect.lost), ("expect.duplicated", &expect.duplicated), ("expect.skipped", &expect.skipped)]
    {
        if let Some(bound) = bound {
            ordered(check, key, bound);
        }
    }
    for (code, bound) in expect.permitted_loss.iter().flatten() {
        let path = format!("expect.permitted-loss.{code}");
        if !Reason::ALL.iter().any(|reason| reason.code() == code) {
            let near = hint(code, Reason::ALL.iter().map(|reason| reason.code()));
            check.complain(&path, format!("{path}: there is no such reason; {near}"));
        }
        ordered(check, &path, bound);
    }
    for (i, spread) in expect.spreads.iter().enumerate() {
        let path = format!("expect.spreads[{i}]");
        let writes = |client: &&Client| matches!(client.role, Role::Producer(_));
        let writers = || check.scenario.clients.iter().filter(writes).map(|client| client.name.as_str());
        if writers().all(|name| name != spread.client) {
            let near = hint(&spread.client, writers());
            check.complain(&path, format!("{path}.client: there is no producer {:?}; {near}", spread.client));
        }
        for (key, bound) in [("least", &spread.least), ("most", &spread.most)] {
            if let Some(bound) = bound {
                ordered(check, &format!("{path}.{key}"), bound);
            }
        }
        if let Some(bound) = &spread.split_keys {
            ordered(check, &format!("{path}.split-keys"), bound);
        }
    }
    for (name, bound) in expect.errors.iter().flatten() {
        let path = format!("expect.errors.{name}");
        if kafka_error(name).is_none() {
            check.complain(&path, format!("{path}: Kafka has no such error; names are like MESSAGE_TOO_LARGE"));
        }
        ordered(check, &path, bound);
    }
    for (i, start) in expect.log_starts.iter().enumerate() {
        check.partition(&format!("expect.log-starts[{i}].partition"), &start.partition);
        ordered(check, &format!("expect.log-starts[{i}].between"), &start.between);
    }
    for (i, load) in expect.metadata_loads.iter().enumerate() {
        let path = format!("expect.metadata-loads[{i}]");
        check.broker(&format!("{path}.broker"), load.broker);
        ordered(check, &format!("{path}.replayed"), &load.replayed);
        if let Some(bound) = &load.snapshot {
            ordered(check, &format!("{path}.snapshot"), bound);
        }
        if let Some(bound) = &load.took {
            ordered(check, &format!("{path}.took"), bound);
        }
    }
    for (i, fenced) in expect.fenced.iter().enumerate() {
        check.broker(&format!("expect.fenced[{i}].broker"), fenced.broker);
        span(check, &format!("expect.fenced[{i}].between"), &fenced.between);
    }
    for (i, rejoined) in expect.rejoined.iter().enumerate() {
        check.broker(&format!("expect.rejoined[{i}].broker"), rejoined.broker);
        span(check, &format!("expect.rejoined[{i}].between"), &rejoined.between);
    }
}

/// The error of this name as Kafka's documents spell it.
fn kafka_error(name: &str) -> Option<ResponseError> {
    let mut errors = (-1..200).filter_map(ResponseError::try_from_code);
    errors.find(|error| error_name(&format!("{error:?}")) == name)
}

pub(super) fn moment(check: &mut Check<'_>, path: &str, at: Millis) {
    let end = check.scenario.duration;
    if at > end {
        check.complain(path, format!("{path}: {at} is after the end ({end})"));
    }
}

/// A bound on times: it must start inside the run, or nothing could ever meet it.
pub(super) fn span(check: &mut Check<'_>, path: &str, between: &Between<Millis>) {
    moment(check, &format!("{path}[0]"), between.0);
    ordered(check, path, between);
}

pub(super) fn ordered<T: PartialOrd + Display>(check: &mut Check<'_>, path: &str, between: &Between<T>) {
    if between.0 > between.1 {
        check.complain(path, format!("{path}: the lower bound {} is above the upper {}", between.0, between.1));
    }
}
