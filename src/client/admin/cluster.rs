//! The cluster as a whole and its brokers.

use super::call::whole;
use super::{Admin, AdminError};
use crate::base::BrokerId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use std::collections::BTreeMap;

/// The cluster, as some broker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// A broker that takes requests for the controller.
    pub controller: BrokerId,
    /// The live brokers with host and port.
    pub brokers: BTreeMap<BrokerId, (String, u16)>,
}

impl Admin {
    /// Describes the cluster.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn describe_cluster(&mut self) -> Result<ClusterDescription, AdminError> {
        self.call(&DescribeClusterRequest::default(), |response: DescribeClusterResponse| {
            whole(response.error_code)?;
            if response.brokers.is_empty() {
                return Err(ResponseError::BrokerNotAvailable);
            }
            let broker = |b: &kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker| {
                (BrokerId(b.broker_id.0), (b.host.to_string(), u16::try_from(b.port).unwrap_or(0)))
            };
            Ok(ClusterDescription {
                cluster_id: Some(response.cluster_id.to_string()),
                controller: BrokerId(response.controller_id.0),
                brokers: response.brokers.iter().map(broker).collect(),
            })
        })
        .await
    }

    /// Forgets a broker that will not come back.
    ///
    /// # Errors
    /// [`AdminError`]; BROKER_ID_NOT_REGISTERED if there is none.
    pub async fn unregister_broker(&mut self, broker: BrokerId) -> Result<(), AdminError> {
        let request = UnregisterBrokerRequest::default().with_broker_id(broker.0.into());
        self.call(&request, |response: UnregisterBrokerResponse| whole(response.error_code)).await
    }
}
