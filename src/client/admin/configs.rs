//! Dynamic configuration of topics and brokers.

use super::call::each;
use super::{Admin, AdminError};
use crate::base::BrokerId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// One topic.
    Topic(Arc<str>),
    /// One broker.
    Broker(BrokerId),
    /// All brokers that have no entry of their own.
    AllBrokers,
}

impl Resource {
    fn wire(&self) -> (i8, StrBytes) {
        match self {
            Self::Topic(name) => (2, StrBytes::from_string(name.to_string())),
            Self::Broker(id) => (4, StrBytes::from_string(id.to_string())),
            Self::AllBrokers => (4, StrBytes::new()),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value as text, in the unit that the key names.
    pub value: Option<String>,
    /// Kafka's code of the source: 1 topic, 2 broker, 3 all brokers, 4 the broker's file, 5 default.
    pub source: i8,
}

impl Admin {
    /// Sets entries of a resource, or deletes those without a value; all of them or none (IncrementalAlterConfigs).
    ///
    /// # Errors
    /// [`AdminError`]; INVALID_CONFIG or INVALID_REQUEST if an entry cannot be.
    pub async fn alter_configs(
        &mut self,
        resource: &Resource,
        entries: &BTreeMap<String, Option<String>>,
    ) -> Result<(), AdminError> {
        let (kind, name) = resource.wire();
        let configs = entries.iter().map(|(key, value)| {
            AlterableConfig::default()
                .with_name(StrBytes::from_string(key.clone()))
                .with_config_operation(i8::from(value.is_none()))
                .with_value(value.clone().map(StrBytes::from_string))
        });
        let altered = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_configs(configs.collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![altered]);
        let judge =
            |response: IncrementalAlterConfigsResponse| each(response.responses.iter().map(|r| Some(r.error_code)));
        let results = self.call(&request, judge).await?;
        results.into_iter().collect::<Result<(), _>>().map_err(AdminError::Broker)
    }

    /// What holds for a resource, as one broker sees it; a broker's own configuration is asked of that broker.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn describe_configs(&mut self, resource: &Resource) -> Result<BTreeMap<String, Entry>, AdminError> {
        let (kind, name) = resource.wire();
        let target = match resource {
            Resource::Broker(id) => Some(*id),
            _ => None,
        };
        let described = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![described]);
        self.call_on(target, &request, |response: DescribeConfigsResponse| {
            let result = response.results.into_iter().next().ok_or(ResponseError::UnknownServerError)?;
            super::call::whole(result.error_code)?;
            let entry = |c: kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult| {
                (c.name.to_string(), Entry { value: c.value.map(|v| v.to_string()), source: c.config_source })
            };
            Ok(result.configs.into_iter().map(entry).collect())
        })
        .await
    }
}
