//! AlterConfigs and IncrementalAlterConfigs (KIP-133, KIP-339; Kafka's `ConfigurationControlManager`,
//! `ConfigAdminManager`). A resource changes as a whole or not at all.
//!
//! With eligible leader replicas on, `min.insync.replicas` holds for the whole cluster or for a topic, never for one
//! broker, and the cluster's cannot be taken away: whoever counts eligible replicas must know it (KIP-966).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as LegacyAnswer;
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as Answer;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::turn::{Refusal, Turn};
use crate::base::BrokerId;
use crate::controller::configs;
use crate::controller::image::{ConfigResource, Entries, MIN_INSYNC_REPLICAS};
use crate::wire::records::ConfigRecord;

/// `ConfigResource.Type` of a topic.
pub(super) const TOPIC: i8 = 2;
/// `ConfigResource.Type` of a broker.
pub(super) const BROKER: i8 = 4;

/// What one resource shall have: key to value, `None` to delete.
type Wishes = BTreeMap<String, Option<String>>;

/// Sets, deletes, appends and subtracts, and answers each resource on its own.
pub(super) fn incremental(
    turn: &mut Turn<'_>,
    request: &IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let names: Vec<_> = request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)).collect();
    let results = perhaps(turn, request.validate_only, |turn| {
        let alter = |r: &AlterConfigsResource| {
            let resource = resource(turn, r.resource_type, &r.resource_name, &names)?;
            let wishes = incremental_wishes(turn, &resource, r)?;
            apply(turn, &resource, wishes)
        };
        request.resources.iter().map(alter).collect::<Vec<_>>()
    });
    let answers = request.resources.iter().zip(results).map(|(r, result)| {
        let (code, message) = told(result);
        Answer::default()
            .with_resource_type(r.resource_type)
            .with_resource_name(r.resource_name.clone())
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(answers.collect())
}

/// Replaces everything that the resources have, and answers each on its own.
pub(super) fn legacy(turn: &mut Turn<'_>, request: &AlterConfigsRequest) -> AlterConfigsResponse {
    let names: Vec<_> = request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)).collect();
    let results = perhaps(turn, request.validate_only, |turn| {
        let alter = |r: &kafka_protocol::messages::alter_configs_request::AlterConfigsResource| {
            let resource = resource(turn, r.resource_type, &r.resource_name, &names)?;
            let mut wishes: Wishes = BTreeMap::new();
            for config in &r.configs {
                let Some(value) = &config.value else { return Err(null(&config.name)) };
                if wishes.insert(config.name.to_string(), Some(value.to_string())).is_some() {
                    return Err(doubled());
                }
            }
            for key in turn.image().config(&resource).into_iter().flat_map(Entries::keys) {
                wishes.entry(key.clone()).or_insert(None);
            }
            apply(turn, &resource, wishes)
        };
        request.resources.iter().map(alter).collect::<Vec<_>>()
    });
    let answers = request.resources.iter().zip(results).map(|(r, result)| {
        let (code, message) = told(result);
        LegacyAnswer::default()
            .with_resource_type(r.resource_type)
            .with_resource_name(r.resource_name.clone())
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(answers.collect())
}

fn perhaps<R>(turn: &mut Turn<'_>, validate_only: bool, rule: impl FnOnce(&mut Turn<'_>) -> R) -> R {
    if validate_only { turn.rehearse(rule) } else { rule(turn) }
}

fn told(result: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (0, None),
        Err((error, message)) => (error.code(), Some(StrBytes::from_string(message))),
    }
}

fn invalid(reason: impl Into<String>) -> Refusal {
    (ResponseError::InvalidRequest, reason.into())
}

fn null(key: &str) -> Refusal {
    invalid(format!("Null value not supported for : {key}"))
}

fn doubled() -> Refusal {
    invalid("Error due to duplicate config keys")
}

/// The resource that is named, if it exists and is named once.
fn resource(turn: &Turn<'_>, kind: i8, name: &str, all: &[(i8, &str)]) -> Result<ConfigResource, Refusal> {
    if all.iter().filter(|other| **other == (kind, name)).count() > 1 {
        return Err(invalid("Each resource must appear at most once."));
    }
    match kind {
        TOPIC => match turn.image().topic(name) {
            Some(topic) => Ok(ConfigResource::Topic(Arc::clone(&topic.name))),
            None => Err((ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))),
        },
        BROKER if name.is_empty() => Ok(ConfigResource::ClusterDefault),
        BROKER => {
            let id = name.parse().map(BrokerId).map_err(|_| invalid(format!("Invalid broker name '{name}'")))?;
            match turn.image().broker(id) {
                Some(_) => Ok(ConfigResource::Broker(id)),
                None => Err((ResponseError::BrokerIdNotRegistered, format!("No broker with id {id} found."))),
            }
        }
        other => Err(invalid(format!("Unknown resource type {other}."))),
    }
}

fn incremental_wishes(turn: &Turn<'_>, resource: &ConfigResource, r: &AlterConfigsResource) -> Result<Wishes, Refusal> {
    let mut wishes: Wishes = BTreeMap::new();
    for config in &r.configs {
        let key = &*config.name;
        let value = || config.value.as_deref().ok_or_else(|| null(key));
        let wish = match config.config_operation {
            0 => Some(value()?.to_owned()),
            1 => None,
            2 | 3 => Some(with_words(turn, resource, key, value()?, config.config_operation == 2)?),
            other => return Err(invalid(format!("Unknown operation type {other}"))),
        };
        if wishes.insert(key.to_owned(), wish).is_some() {
            return Err(doubled());
        }
    }
    Ok(wishes)
}

/// A list with words added or taken away; one without an entry starts from what holds there.
fn with_words(
    turn: &Turn<'_>,
    resource: &ConfigResource,
    key: &str,
    words: &str,
    append: bool,
) -> Result<String, Refusal> {
    let known = match resource {
        ConfigResource::Topic(_) => configs::topic_key(key).map(|k| (k.kind, k.default, k.broker_key)),
        _ => configs::broker_key(key).map(|k| (k.kind, k.default, Some(k.name))),
    };
    let Some((_, default, broker_key)) = known.filter(|(kind, ..)| kind.is_list()) else {
        let what = if append { "APPEND" } else { "SUBTRACT" };
        let reason = format!("Can't {what} to key {key} because its type is not LIST.");
        return Err((ResponseError::InvalidConfig, reason));
    };
    let image = turn.image();
    let own = image.config(resource).and_then(|entries| entries.get(key)).map(String::as_str);
    let inherited = || image.broker_config(turn.config.me, broker_key?);
    let now = own.or_else(inherited).unwrap_or(default);
    let given: BTreeSet<&str> = words.split(',').map(str::trim).collect();
    let mut result: Vec<&str> = now.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    if append {
        result.extend(words.split(',').map(str::trim).filter(|w| !now.split(',').any(|n| n.trim() == *w)));
    } else {
        result.retain(|w| !given.contains(w));
    }
    Ok(result.join(","))
}

fn apply(turn: &mut Turn<'_>, resource: &ConfigResource, wishes: Wishes) -> Result<(), Refusal> {
    for (key, value) in &wishes {
        validate(turn, resource, key, value.as_deref())?;
    }
    let (resource_type, resource_name): (i8, Arc<str>) = match resource {
        ConfigResource::Topic(name) => (TOPIC, Arc::clone(name)),
        ConfigResource::Broker(id) => (BROKER, id.to_string().into()),
        ConfigResource::ClusterDefault => (BROKER, "".into()),
    };
    let min_isr = wishes.contains_key(MIN_INSYNC_REPLICAS);
    for (key, value) in wishes {
        let own = turn.image().config(resource).and_then(|entries| entries.get(&key));
        // Brokers are told even what does not change, to read it again (KAFKA-14136).
        if own != value.as_ref() || resource_type == BROKER {
            turn.write(ConfigRecord {
                resource_type,
                resource_name: Arc::clone(&resource_name),
                name: key.into(),
                value: value.map(Arc::from),
            });
        }
    }
    if min_isr {
        turn.min_insync_replicas_changed(match resource {
            ConfigResource::Topic(name) => Some(name),
            _ => None,
        });
    }
    Ok(())
}

fn validate(turn: &Turn<'_>, resource: &ConfigResource, key: &str, value: Option<&str>) -> Result<(), Refusal> {
    let refuse = |error, reason: Option<String>| reason.map_or(Ok(()), |reason| Err((error, reason)));
    if key == MIN_INSYNC_REPLICAS && turn.elr_enabled() {
        let reason = match (resource, value) {
            (ConfigResource::Broker(_), _) => Some("Broker-level min.insync.replicas cannot be altered"),
            (ConfigResource::ClusterDefault, None) => Some("Cluster level min.insync.replicas cannot be removed"),
            _ => None,
        };
        refuse(ResponseError::InvalidConfig, reason.map(|r| format!("{r} while ELR is enabled.")))?;
    }
    let Some(value) = value else { return Ok(()) };
    match resource {
        ConfigResource::Topic(_) => refuse(ResponseError::InvalidConfig, configs::illegal(key, value)),
        // Kafka answers an unfit broker configuration with INVALID_REQUEST (KAFKA-13609).
        _ => refuse(ResponseError::InvalidRequest, configs::illegal_for_brokers(key, value)),
    }
}
