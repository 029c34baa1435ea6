//! Whether applications can work, and whether what is expected of them can be checked.

use super::model::{Client, Config, ExpectedGroup, Group, OnPoison, PartitionOffsets, Role, Style};
use super::validate::Check;
use super::validate_expect::{moment, ordered, span};
use crate::base::nearest::hint;
use crate::broker::config::BrokerConfig;
use crate::client::config::{ConsumerConfig, GroupProtocol};

/// Throughput is counted in samples of this length, in milliseconds.
const SAMPLE_MS: u64 = 10_000;
/// Consumer configuration that a group's own keys say.
const OWN: [(&str, &str); 3] = [
    ("group.id", "the key \"id\" names the group"),
    ("group.instance.id", "the key \"static-members\" gives each process a name of its own"),
    ("enable.auto.commit", "the key \"style\" says who commits"),
];

pub(super) fn group(check: &mut Check<'_>, client: &Client, group: &Group, path: &str) {
    for (i, topic) in group.topics.iter().enumerate() {
        let place = format!("{path}.topics[{i}]");
        if check.topic(&place, topic).is_some() && group.topics[..i].contains(topic) {
            check.complain(&place, format!("{place}: topic {topic:?} is listed twice"));
        }
    }
    let id = group.id(&client.name);
    let others = check.scenario.clients.iter().take_while(|other| other.name != client.name);
    if groups(others).any(|(taken, _)| taken == id) {
        check.complain(path, format!("{path}: there is a group {id:?} already"));
    }
    if group.start() > group.count {
        let place = format!("{path}.start");
        check.complain(&place, format!("{place}: {} of {} processes cannot start", group.start(), group.count));
    }
    if group.hand_off && group.style != Style::AutoCommit {
        let place = format!("{path}.hand-off");
        check.complain(&place, format!("{place}: who commits by itself cannot know when a record is processed"));
    }
    if group.processing.0 > group.processing.1 {
        ordered(check, &format!("{path}.processing"), &group.processing);
    }
    for (key, why) in OWN {
        if group.config.contains_key(key) {
            check.complain(format!("{path}.config"), format!("{path}.config: {key}: {why}"));
        }
    }
    for why in of_the_other_protocol(group) {
        check.complain(format!("{path}.config"), format!("{path}.config: {why}"));
    }
    session(check, group, path);
    dead_letters(check, group, path);
}

/// Coordinators refuse members whose sessions are too short or too long (`INVALID_SESSION_TIMEOUT`), and no group ever
/// forms.
fn session(check: &mut Check<'_>, group: &Group, path: &str) {
    if is_next(group) {
        return;
    }
    let number =
        |config: &Config, key: &str, kafkas: i64| config.get(key).and_then(|n| n.parse().ok()).unwrap_or(kafkas);
    let ours = number(&group.config, "session.timeout.ms", ConsumerConfig::default().session_timeout_ms.into());
    let (brokers, defaults) = (&check.scenario.cluster.config, BrokerConfig::default());
    let (least, most) = ("group.min.session.timeout.ms", "group.max.session.timeout.ms");
    let min = number(brokers, least, defaults.group_min_session_timeout_ms);
    let max = number(brokers, most, defaults.group_max_session_timeout_ms);
    let beyond = match ours {
        _ if ours < min => format!("below the brokers' {least} {min}"),
        _ if ours > max => format!("above the brokers' {most} {max}"),
        _ => return,
    };
    let place = format!("{path}.config");
    check.complain(
        &place,
        format!("{place}: session.timeout.ms {ours} is {beyond}: no coordinator admits such a member"),
    );
}

/// Why consumer configuration is refused that its `group.protocol` does not permit.
fn of_the_other_protocol(group: &Group) -> Vec<&'static str> {
    let protocol = if is_next(group) { GroupProtocol::Consumer } else { GroupProtocol::Classic };
    group.config.keys().filter_map(|key| ConsumerConfig::refused(protocol, key)).collect()
}

fn is_next(group: &Group) -> bool {
    group.config.get("group.protocol").is_some_and(|value| value.eq_ignore_ascii_case("consumer"))
}

fn dead_letters(check: &mut Check<'_>, group: &Group, path: &str) {
    let place = format!("{path}.dead-letter-topic");
    match (&group.dead_letter_topic, group.on_poison) {
        (None, OnPoison::DeadLetter) => {
            check.complain(path, format!("{path}: on-poison dead-letter needs a dead-letter-topic"));
        }
        (Some(topic), OnPoison::DeadLetter) => {
            if check.topic(&place, topic).is_some() && group.topics.contains(topic) {
                check.complain(&place, format!("{place}: the group reads {topic:?} itself"));
            }
        }
        (Some(_), _) => check.complain(&place, format!("{place}: stands only beside on-poison dead-letter")),
        (None, _) => {}
    }
}

/// The groups of some clients, by their ids.
fn groups<'a>(clients: impl Iterator<Item = &'a Client>) -> impl Iterator<Item = (&'a str, &'a Group)> {
    clients.filter_map(|client| match &client.role {
        Role::Group(group) => Some((group.id(&client.name), group)),
        _ => None,
    })
}

/// Complains if no client is a member of this group.
pub(super) fn known(check: &mut Check<'_>, path: &str, id: &str) {
    let ids: Vec<&str> = groups(check.scenario.clients.iter()).map(|(id, _)| id).collect();
    if !ids.contains(&id) {
        let near = hint(id, ids);
        check.complain(path, format!("{path}: there is no group {id:?}; {near}"));
    }
}

pub(super) fn expect(check: &mut Check<'_>) {
    for (i, wanted) in check.scenario.expect.groups.iter().enumerate() {
        let path = format!("expect.groups[{i}]");
        known(check, &format!("{path}.id"), &wanted.id);
        counts(check, wanted, &path);
        moments(check, wanted, &path);
    }
}

fn counts(check: &mut Check<'_>, wanted: &ExpectedGroup, path: &str) {
    let offsets = [
        ("skipped", &wanted.skipped),
        ("repeated", &wanted.repeated),
        ("passed-over", &wanted.passed_over),
        ("dead-letters", &wanted.dead_letters),
    ];
    for (key, list) in offsets {
        for (n, PartitionOffsets { partition, offsets }) in list.iter().flatten().enumerate() {
            let place = format!("{path}.{key}[{n}]");
            check.partition(&format!("{place}.partition"), partition);
            ordered(check, &format!("{place}.offsets"), offsets);
        }
    }
    let bounds = [
        ("skipped-count", &wanted.skipped_count),
        ("repeated-count", &wanted.repeated_count),
        ("processed", &wanted.processed),
        ("crashes", &wanted.crashes),
        ("expelled", &wanted.expelled),
        ("rebalances", &wanted.rebalances),
        ("effects", &wanted.effects),
        ("suppressed", &wanted.suppressed),
    ];
    for (key, bound) in bounds {
        if let Some(bound) = bound {
            ordered(check, &format!("{path}.{key}"), bound);
        }
    }
    for (n, commit) in wanted.committed.iter().enumerate() {
        let place = format!("{path}.committed[{n}]");
        check.partition(&format!("{place}.partition"), &commit.partition);
        ordered(check, &format!("{place}.between"), &commit.between);
    }
}

fn moments(check: &mut Check<'_>, wanted: &ExpectedGroup, path: &str) {
    if let Some(between) = &wanted.stop_the_world {
        span(check, &format!("{path}.stop-the-world"), between);
    }
    for (n, throughput) in wanted.throughput.iter().enumerate() {
        let place = format!("{path}.throughput[{n}]");
        moment(check, &format!("{place}.to"), throughput.to);
        if throughput.from >= throughput.to {
            check.complain(&place, format!("{place}: {} is not before {}", throughput.from, throughput.to));
        }
        if throughput.from.0 % SAMPLE_MS != 0 || throughput.to.0 % SAMPLE_MS != 0 {
            check.complain(&place, format!("{place}: from and to are whole tens of seconds"));
        }
        ordered(check, &format!("{place}.between"), &throughput.between);
    }
    for (n, lag) in wanted.lag.iter().enumerate() {
        let place = format!("{path}.lag[{n}]");
        moment(check, &format!("{place}.at"), lag.at);
        ordered(check, &format!("{place}.between"), &lag.between);
    }
    for (n, owners) in wanted.owners.iter().enumerate() {
        let place = format!("{path}.owners[{n}]");
        moment(check, &format!("{place}.at"), owners.at);
        if owners.busy.is_none() && owners.idle.is_none() && owners.partitions.is_none() {
            check.complain(&place, format!("{place}: one of busy, idle and partitions is missing"));
        }
    }
}
