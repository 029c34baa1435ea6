//! A topic as a file writes it: whoever gives an assignment need not count its partitions and replicas.

use serde::Deserialize;

use super::model::{Config, Topic};
use crate::base::BrokerId;

/// The fields of a topic in a file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TopicFile {
    name: String,
    partitions: Option<u32>,
    replication_factor: Option<u32>,
    #[serde(default)]
    assignment: Vec<Vec<BrokerId>>,
    #[serde(default, deserialize_with = "super::model::lenient::config")]
    config: Config,
}

impl From<TopicFile> for Topic {
    fn from(file: TopicFile) -> Self {
        let given = (!file.assignment.is_empty()).then_some(file.assignment.len() as u32);
        let replicas = file.assignment.first().map(|replicas| replicas.len() as u32);
        Self {
            name: file.name,
            partitions: file.partitions.or(given).unwrap_or(1),
            replication_factor: file.replication_factor.or(replicas).unwrap_or(1),
            assignment: file.assignment,
            config: file.config,
        }
    }
}
