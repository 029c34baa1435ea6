//! Whether faults can happen: whom they hit exists, when they happen lies inside the run, what they ask for can be.

use super::apis;
use super::model::{Action, After, ClientName, Controllers, Fault, Member, Milestone, Role, Target, When};
use super::units::Millis;
use super::validate::Check;
use super::{validate_groups, validate_lives, validate_operations};
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
        check.node(&format!("{path}.broker"), id);
    }
    if let Some(id) = &after.group {
        validate_groups::known(check, &format!("{path}.group"), id);
    }
    let (partition, broker, group) = match after.milestone {
        Milestone::Event(event) => (event.has_partition(), !event.has_group(), event.has_group()),
        Milestone::Acked(_) | Milestone::Consumed(_) | Milestone::Processed(_) | Milestone::Committed(_) => {
            (false, false, false)
        }
    };
    for (key, given, fits) in [
        ("partition", after.partition.is_some(), partition),
        ("broker", after.broker.is_some(), broker),
        ("group", after.group.is_some(), group),
    ] {
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
        Target::Node(id) => {
            check.node(&format!("{path}.node"), *id);
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
        Target::CoordinatorOf(id) => validate_groups::known(check, &format!("{path}.coordinator-of"), id),
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
    let count = group.role.count();
    if name.index.is_some_and(|index| index >= count) {
        check.complain(path, format!("{path}: {:?} has processes #0 to #{}", name.group, count - 1));
    }
}

/// Whether the processes of this name do such a thing.
fn plays(check: &Check<'_>, name: &ClientName, wanted: fn(&Role) -> bool) -> bool {
    check.scenario.clients.iter().any(|client| client.name == name.group && wanted(&client.role))
}

/// Complains if processes of this name do not exist, or are members of no group.
pub(super) fn member(check: &mut Check<'_>, path: &str, name: &ClientName) {
    let place = format!("{path}.client");
    client(check, &place, name);
    let known = plays(check, name, |_| true);
    if known && !plays(check, name, |role| matches!(role, Role::Group(_))) {
        check.complain(&place, format!("{place}: only clients that are members of a group join and leave"));
    }
}

/// True if a target can mean nobody but separate controllers.
fn controllers_only(check: &Check<'_>, target: &Target) -> bool {
    let cluster = &check.scenario.cluster;
    match target {
        Target::Node(id) => cluster.is_controller(*id),
        Target::Controller | Target::Voter => cluster.controllers != Controllers::Combined,
        _ => false,
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
    let of_logs = matches!(action, Action::Wipe(_) | Action::BitRot(_) | Action::Misdirect(_));
    if of_logs && controllers_only(check, target) {
        check.complain(path, format!("{path}: separate controllers hold no partitions; only brokers can be hit"));
    }
    let writes = |target: &Target| match target {
        Target::Client(name) => plays(check, name, |role| matches!(role, Role::Producer(_))),
        _ => false,
    };
    if matches!(action, Action::Poison(_)) && !writes(target) {
        check.complain(path, format!("{path}: only clients that are producers write records"));
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
            check.node(&format!("{path}.over"), bridge.over);
            if bridge.groups.iter().flatten().any(|member| *member == Member::Broker(bridge.over)) {
                let over = check.scenario.cluster.name_of(bridge.over);
                let text = format!("{path}.over: {over} reaches everybody and is in no group");
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
                    check.node(&place, *id);
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
