//! DescribeCluster: the brokers, as one of them knows them (KIP-700); the controllers, as one of them knows them (KIP-919).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::controller::ControllerServer;
use super::super::node::Node;
use crate::base::BrokerId;

/// Endpoint types of KIP-919.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Node {
    pub(super) fn describe_cluster(&self, request: &DescribeClusterRequest) -> DescribeClusterResponse {
        if let Some(refusal) = misdirected(request, BROKERS, "The request was sent to a broker endpoint.") {
            return refusal;
        }
        let image = self.metadata.image();
        let shown = image.brokers().filter(|b| request.include_fenced_brokers || !b.fenced);
        let brokers = shown.filter_map(|b| {
            let (host, port) = self.address_of(&image, b.id)?;
            Some(
                DescribeClusterBroker::default()
                    .with_broker_id(b.id.0.into())
                    .with_host(host)
                    .with_port(i32::from(port))
                    .with_rack(b.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string())))
                    .with_is_fenced(b.fenced),
            )
        });
        DescribeClusterResponse::default()
            .with_endpoint_type(request.endpoint_type)
            .with_cluster_id(StrBytes::from_string(self.options.cluster_id.clone()))
            .with_controller_id(self.any_broker(&image).0.into())
            .with_brokers(brokers.collect())
    }
}

impl ControllerServer {
    pub(super) fn describe_controllers(&self, request: &DescribeClusterRequest) -> DescribeClusterResponse {
        if let Some(refusal) = misdirected(request, CONTROLLERS, "The request was sent to a controller endpoint.") {
            return refusal;
        }
        let image = self.metadata().image();
        let controllers = image.controllers().filter_map(|c| {
            let end_point = c.end_points.first()?;
            Some(
                DescribeClusterBroker::default()
                    .with_broker_id(c.controller_id.0.into())
                    .with_host(StrBytes::from_string(end_point.host.to_string()))
                    .with_port(i32::from(end_point.port)),
            )
        });
        let (leader, _) = self.quorum().leader();
        DescribeClusterResponse::default()
            .with_endpoint_type(request.endpoint_type)
            .with_cluster_id(StrBytes::from_string(self.quorum().config().cluster_id.clone()))
            .with_controller_id(leader.unwrap_or(BrokerId::NONE).0.into())
            .with_brokers(controllers.collect())
    }
}

/// The refusal of a request about nodes that do not stand behind this listener; none if it asks about those that do.
fn misdirected(request: &DescribeClusterRequest, here: i8, elsewhere: &'static str) -> Option<DescribeClusterResponse> {
    let (error, message) = match request.endpoint_type {
        asked if asked == here => return None,
        BROKERS | CONTROLLERS => (ResponseError::MismatchedEndpointType, elsewhere),
        _ => (ResponseError::UnsupportedEndpointType, "Unknown endpoint type."),
    };
    let response = DescribeClusterResponse::default().with_error_code(error.code());
    Some(response.with_error_message(Some(StrBytes::from_static_str(message))))
}
