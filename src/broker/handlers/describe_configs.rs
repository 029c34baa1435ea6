//! DescribeConfigs (KIP-133, KIP-226): what holds for a topic or a broker, and where that comes from
//! (Kafka's `ConfigHelper`).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::config::BrokerConfig;
use super::super::node::Node;
use crate::base::BrokerId;
use crate::controller::configs::{self, TOPIC_KEYS};
use crate::controller::image::{ConfigResource, Image};

/// `ConfigResource.Type`s.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Topic = 1,
    Broker = 2,
    AllBrokers = 3,
    File = 4,
    Default = 5,
}

/// One value of one key, under the name that it has at its source.
type Synonym = (&'static str, String, Source);

/// What is known of one broker: its file and its metadata.
struct Known<'a> {
    me: BrokerId,
    config: &'a BrokerConfig,
    image: &'a Image,
}

/// An error and what to tell the user.
type Refusal = (ResponseError, String);

impl Node {
    pub(super) fn describe_configs(&self, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
        let image = self.metadata.image();
        let known = Known { me: self.options.id, config: &self.options.config, image: &image };
        let results = request.resources.iter().map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match known.describe(resource, request.include_synonyms) {
                Ok(configs) => result.with_configs(configs),
                Err((error, message)) => {
                    result.with_error_code(error.code()).with_error_message(Some(StrBytes::from_string(message)))
                }
            }
        });
        DescribeConfigsResponse::default().with_results(results.collect())
    }
}

impl Known<'_> {
    fn describe(
        &self,
        resource: &DescribeConfigsResource,
        with_synonyms: bool,
    ) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
        let name = &*resource.resource_name;
        let wanted =
            |key: &str| resource.configuration_keys.as_ref().is_none_or(|keys| keys.iter().any(|k| **k == *key));
        let entries = match resource.resource_type {
            TOPIC => {
                let topic = self.image.topic(name).ok_or_else(|| {
                    (ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
                })?;
                self.of_topic(&topic.name)
            }
            BROKER if name.is_empty() => self.of_all_brokers(),
            BROKER if name.parse() == Ok(self.me.0) => self.of_this_broker(),
            BROKER => {
                let reason = format!("Unexpected broker id, expected {} or empty string, but received {name}", self.me);
                return Err((ResponseError::InvalidRequest, reason));
            }
            other => return Err((ResponseError::InvalidRequest, format!("Unsupported resource type: {other}"))),
        };
        let wanted = entries.into_iter().filter(|(key, _)| wanted(key));
        Ok(wanted.map(|(key, synonyms)| described(key, synonyms, resource.resource_type, with_synonyms)).collect())
    }

    /// What holds for a topic here.
    fn of_topic(&self, topic: &Arc<str>) -> Vec<(&'static str, Vec<Synonym>)> {
        let described = TOPIC_KEYS.iter().map(|key| {
            let own = self.image.topic_config(topic, key.name);
            let mut synonyms: Vec<Synonym> =
                own.into_iter().map(|value| (key.name, value.to_owned(), Source::Topic)).collect();
            if let Some(broker_key) = key.broker_key {
                synonyms.extend(self.of_key(broker_key));
            }
            (key.name, synonyms)
        });
        described.collect()
    }
    fn of_this_broker(&self) -> Vec<(&'static str, Vec<Synonym>)> {
        let obeyed = super::super::config::KEYS.iter().copied();
        let only_dynamic = configs::broker_keys().map(|k| k.name);
        let mut keys: Vec<&'static str> = obeyed.chain(only_dynamic).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|key| (key, self.of_key(key))).collect()
    }
    /// Only what was set for all brokers.
    fn of_all_brokers(&self) -> Vec<(&'static str, Vec<Synonym>)> {
        let set = self.image.config(&ConfigResource::ClusterDefault).into_iter().flatten();
        let known = set.filter_map(|(key, value)| {
            let key = configs::broker_key(key)?.name;
            Some((key, vec![(key, value.clone(), Source::AllBrokers)]))
        });
        known.collect()
    }

    /// The values of a broker key, the one that holds first.
    fn of_key(&self, key: &'static str) -> Vec<Synonym> {
        let set = |resource: &ConfigResource| self.image.config(resource).and_then(|entries| entries.get(key)).cloned();
        let in_file = |config: &BrokerConfig| {
            config.entries().into_iter().find(|(known, _)| *known == key).map(|(_, value)| value)
        };
        let default = in_file(&BrokerConfig::default())
            .or_else(|| configs::broker_key(key).map(|known| known.default.to_owned()));
        let file = in_file(self.config).filter(|value| Some(value) != default.as_ref());
        let all = [
            (set(&ConfigResource::Broker(self.me)), Source::Broker),
            (set(&ConfigResource::ClusterDefault), Source::AllBrokers),
            (file, Source::File),
            (default, Source::Default),
        ];
        all.into_iter().filter_map(|(value, source)| Some((key, value?, source))).collect()
    }
}

fn described(key: &str, synonyms: Vec<Synonym>, kind: i8, with_synonyms: bool) -> DescribeConfigsResourceResult {
    let known = match kind {
        TOPIC => configs::topic_key(key).map(|k| (k.kind, k.default)),
        _ => configs::broker_key(key).map(|k| (k.kind, k.default)),
    };
    let (value, source) = match synonyms.first() {
        Some((_, value, source)) => (value.clone(), *source),
        None => (known.map_or_else(String::new, |(_, default)| default.to_owned()), Source::Default),
    };
    let config_type = known.map_or_else(|| type_of(&value), |(kind, _)| kind.code());
    let text = |s: &str| StrBytes::from_string(s.to_owned());
    let synonyms = synonyms.iter().filter(|_| with_synonyms).map(|(name, value, source)| {
        DescribeConfigsSynonym::default().with_name(text(name)).with_value(Some(text(value))).with_source(*source as i8)
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(key))
        .with_value(Some(text(&value)))
        .with_read_only(known.is_none())
        .with_config_source(source as i8)
        .with_config_type(config_type)
        .with_synonyms(synonyms.collect())
}

/// Kafka's code for the type of a setting that only stands in a file: a boolean or a long.
fn type_of(value: &str) -> i8 {
    if matches!(value, "true" | "false") { 1 } else { 5 }
}
