//! Whether faults can happen: whom they hit exists, when they happen lies inside the run, what they ask for can be.

use super::apis;
use super::model::{Action, After, ClientName, Fault, Member, Milestone, Role, Target, When};
use super::units::Millis;
use super::validate::Check;
use super::{validate_lives, validate_operations};
use crate::base::nearest::hint;

pub(super) fn faults(check: &mut Check<'_>) {
    for (i, fault) in check.scenario.faults.iter().enumerate() {
        let path = format!("faults[{i}]");
        when(check, &path, fault);
        let action = format!("{path}.{}", fault.action.name());
        for (key, at) in fault.action.targets() {
            let place = if key.is_empty() { action.clone() } else { format!("{action}.{key}") };
            target(check, &place, at);
            whom(check, &place, &fault.action, at);
        }
        what(check, &action, &fault.action);
    }
    validate_lives::sequence(check);
}

fn when(check: &mut Check<'_>, path: &str, fault: &Fault) {
    let end = check.scenario.duration;
    let late = |check: &mut Check<'_>, key: &str, moment: Millis| {
        if moment > end {
            let place = format!("{path}.{key}");
            check.complain(&place, format!("{place}: {moment} is after the end ({end})"));
        }
    };
    match &fault.when {
        When::At(at) => late(check, "at", *at),
        When::After(after) => milestone(check, &format!("{path}.after"), after),
    }
    if let Some(until) = fault.until {
        late(check, "until", until);
        if fault.every.is_none() {
            check.complain(format!("{path}.until"), format!("{path}.until: stands only beside \"every\""));
        }
    }
    for (key, span) in [("every", fault.every), ("for", fault.lasts)] {
        if span == Some(Millis(0)) {
            check.complain(format!("{path}.{key}"), format!("{path}.{key}: must be longer than 0s"));
        }
    }
    if fault.lasts.is_some() && !fault.action.can_end() {
        let name = fault.action.name();
        check.complain(format!("{path}.for"), format!("{path}.for: {name} is over at once"));
    }
    if let (Some(every), Some(lasts)) = (fault.every, fault.lasts)
        && every <= lasts
    {
        check.complain(format!("{path}.for"), format!("{path}.for: {lasts} is not over before the next one ({every})"));
    }
}

fn milestone(check: &mut Check<'_>, path: &str, after: &After) {
    if let Some(tp) = &after.partition {
        check.partition(&format!("{path}.partition"), tp);
    }
    if let Some(id) = after.broker {
        check.broker(&format!("{path}.broker"), id);
    }
    let (partition, broker) = match after.milestone {
        Milestone::Event(event) => (event.has_partition(), true),
        Milestone::Acked(_) | Milestone::Consumed(_) => (false, false),
    };
    for (key, given, fits) in
        [("partition", after.partition.is_some(), partition), ("broker", after.broker.is_some(), broker)]
    {
        if given && !fits {
            check.complain(format!("{path}.{key}"), format!("{path}.{key}: what is waited for has no {key}"));
        }
    }
}

fn target(check: &mut Check<'_>, path: &str, target: &Target) {
    match target {
        Target::Broker(id) => {
            check.broker(&format!("{path}.broker"), *id);
        }
        Target::LeaderOf(tp) => {
            check.partition(&format!("{path}.leader-of"), tp);
        }
        Target::FollowerOf(tp) => {
            check.partition(&format!("{path}.follower-of"), tp);
        }
        Target::IsrMemberOf(tp) => {
            check.partition(&format!("{path}.isr-member-of"), tp);
        }
        Target::Client(name) => client(check, &format!("{path}.client"), name),
        Target::Region(name) => check.region(&format!("{path}.region"), name),
        Target::Controller | Target::Voter | Target::AnyBroker | Target::AllBrokers => {}
    }
}

fn client(check: &mut Check<'_>, path: &str, name: &ClientName) {
    let clients = &check.scenario.clients;
    let Some(group) = clients.iter().find(|client| client.name == name.group) else {
        let near = hint(&name.group, clients.iter().map(|client| client.name.as_str()));
        return check.complain(path, format!("{path}: there is no client {:?}; {near}", name.group));
    };
    let count = match &group.role {
        Role::Producer(producer) => producer.count,
        Role::Consumer(_) => 1,
    };
    if name.index.is_some_and(|index| index >= count) {
        check.complain(path, format!("{path}: {:?} has processes #0 to #{}", name.group, count - 1));
    }
}

/// Faults of what only a broker has.
fn whom(check: &mut Check<'_>, path: &str, action: &Action, target: &Target) {
    let brokers_only = matches!(
        action,
        Action::Wipe(_)
            | Action::DiskStall(_)
            | Action::DiskSlow(_)
            | Action::DiskError(_)
            | Action::DiskFull(_)
            | Action::BitRot(_)
            | Action::Misdirect(_)
    );
    if brokers_only && matches!(target, Target::Client(_)) {
        check.complain(path, format!("{path}: clients have no disk; only brokers can be hit"));
    }
}

fn what(check: &mut Check<'_>, path: &str, action: &Action) {
    match action {
        Action::Cut(link) | Action::Clog(link) if link.from == link.to => {
            check.complain(format!("{path}.to"), format!("{path}: a node cannot be cut from itself"));
        }
        Action::Partition(partition) => groups(check, path, &partition.groups),
        Action::Bridge(bridge) => {
            groups(check, path, &bridge.groups);
            check.broker(&format!("{path}.over"), bridge.over);
            if bridge.groups.iter().flatten().any(|member| *member == Member::Broker(bridge.over)) {
                let text = format!("{path}.over: broker {} reaches everybody and is in no group", bridge.over);
                check.complain(format!("{path}.over"), text);
            }
        }
        Action::SlowLink(slow) if slow.latency.is_none() && slow.jitter.is_none() && slow.bandwidth.is_none() => {
            check.complain(path, format!("{path}: one of latency, jitter and bandwidth is missing"));
        }
        Action::DelayRequest(delay) if apis::key(&delay.api).is_none() => {
            let near = hint(&delay.api, apis::names().iter().map(String::as_str));
            check.complain(format!("{path}.api"), format!("{path}.api: there is no API {:?}; {near}", delay.api));
        }
        Action::BitRot(rot) => decay(check, path, rot.partition.as_ref()),
        Action::Misdirect(misdirect) => decay(check, path, misdirect.partition.as_ref()),
        Action::CreateTopic(topic) => {
            if check.scenario.topics.iter().any(|known| known.name == topic.name) {
                check.complain(format!("{path}.name"), format!("{path}.name: the name {:?} is taken", topic.name));
            }
            check.shape_of(topic, path);
        }
        action if action.is_operation() => validate_operations::operation(check, path, action),
        _ => {}
    }
}

fn decay(check: &mut Check<'_>, path: &str, partition: Option<&crate::base::TopicPartition>) {
    match partition {
        Some(tp) => {
            check.partition(&format!("{path}.partition"), tp);
        }
        None if check.scenario.topics.is_empty() => {
            check.complain(path, format!("{path}: there is no topic whose log could be hit"));
        }
        None => {}
    }
}

fn groups(check: &mut Check<'_>, path: &str, groups: &[Vec<Member>]) {
    let mut seen: Vec<&Member> = Vec::new();
    for (g, members) in groups.iter().enumerate() {
        for (m, member) in members.iter().enumerate() {
            let place = format!("{path}.groups[{g}][{m}]");
            match member {
                Member::Broker(id) => {
                    check.broker(&place, *id);
                }
                Member::Client(name) => client(check, &place, name),
            }
            if seen.contains(&member) {
                check.complain(&place, format!("{place}: stands in a group already"));
            }
            seen.push(member);
        }
    }
}
