//! Whether what an administrator does can be done: topics, partitions and brokers exist, entries can be set.

use super::config::{DYNAMIC_BROKER, TOPIC};
use super::model::{Action, Comer, ElectPreferred, SetConfig};
use super::validate::Check;
use super::validate_faults;
use crate::base::{BrokerId, TopicPartition};

pub(super) fn operation(check: &mut Check<'_>, path: &str, action: &Action) {
    match action {
        Action::AddPartitions(more) => {
            let before = check.topic(&format!("{path}.topic"), &more.topic).map(|topic| topic.partitions);
            if let Some(before) = before.filter(|before| more.total <= *before) {
                let place = format!("{path}.total");
                check.complain(&place, format!("{place}: {} is no more than the {before} that there are", more.total));
            }
        }
        Action::MoveLeader(wish) => {
            let known = check.partition(&format!("{path}.partition"), &wish.partition);
            check.broker(&format!("{path}.to"), wish.to);
            let holds = given(check, &wish.partition).is_none_or(|replicas| replicas.contains(&wish.to));
            let moves = |action: &Action| matches!(action, Action::Reassign(r) if r.partition == wish.partition);
            let moved = check.scenario.faults.iter().any(|fault| moves(&fault.action));
            if known && !holds && !moved {
                let place = format!("{path}.to");
                check.complain(&place, format!("{place}: broker {} has no replica of {}", wish.to, wish.partition));
            }
        }
        Action::ElectPreferred(ElectPreferred::One(one)) => {
            check.partition(&format!("{path}.partition"), &one.partition);
        }
        Action::SetConfig(wish) => set_config(check, path, wish),
        Action::Reassign(wish) => {
            check.partition(&format!("{path}.partition"), &wish.partition);
            for (n, id) in wish.replicas.iter().enumerate() {
                let place = format!("{path}.replicas[{n}]");
                if check.broker(&place, *id) && wish.replicas[..n].contains(id) {
                    check.complain(&place, format!("{place}: broker {id} is listed already"));
                }
            }
        }
        Action::Join(Comer::Client(name)) | Action::Leave(Comer::Client(name)) => {
            validate_faults::member(check, path, name)
        }
        Action::Join(Comer::Broker(broker)) => {
            check.broker(&format!("{path}.broker"), *broker);
            if check.scenario.founders().is_empty() {
                check.complain(path, format!("{path}: somebody must be there that others can join"));
            }
        }
        Action::Leave(Comer::Broker(broker)) => {
            let place = format!("{path}.broker");
            if check.broker(&place, *broker) && !check.scenario.joining().contains(broker) {
                let text = format!("{place}: broker {broker} was there from the start; only who has joined can leave");
                check.complain(&place, text);
            }
        }
        _ => {}
    }
}

/// The replicas that the scenario gives to a partition, if it does.
fn given<'a>(check: &Check<'a>, tp: &TopicPartition) -> Option<&'a Vec<BrokerId>> {
    let topic = check.scenario.topics.iter().find(|topic| *topic.name == *tp.topic)?;
    topic.assignment.get(usize::try_from(tp.partition).ok()?)
}

fn set_config(check: &mut Check<'_>, path: &str, wish: &SetConfig) {
    if let Some(topic) = &wish.topic {
        check.topic(&format!("{path}.topic"), topic);
    }
    if let Some(id) = wish.broker {
        check.broker(&format!("{path}.broker"), id);
        if wish.topic.is_some() {
            let place = format!("{path}.broker");
            check.complain(&place, format!("{place}: cannot stand beside \"topic\""));
        }
    }
    if wish.config.is_empty() {
        check.complain(format!("{path}.config"), format!("{path}.config: sets nothing"));
    }
    let table = if wish.topic.is_some() { TOPIC } else { DYNAMIC_BROKER };
    for (key, value) in &wish.config {
        let judged = value.as_ref().map_or_else(|| table.verify_key(key), |value| table.verify(key, value));
        if let Err(error) = judged {
            let place = format!("{path}.config.{key}");
            check.complain(&place, format!("{path}.config: {error}"));
        }
    }
}
