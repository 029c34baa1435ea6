//! DescribeCluster (KIP-700): the brokers, as this one knows them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::node::Node;

/// Endpoint types of KIP-919.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Node {
    pub(super) fn describe_cluster(&self, request: &DescribeClusterRequest) -> DescribeClusterResponse {
        let response = DescribeClusterResponse::default().with_endpoint_type(request.endpoint_type);
        let refuse = |error: ResponseError, message: &str| {
            let response = DescribeClusterResponse::default().with_error_code(error.code());
            response.with_error_message(Some(StrBytes::from_string(message.to_owned())))
        };
        match request.endpoint_type {
            BROKERS => {}
            CONTROLLERS => {
                return refuse(ResponseError::MismatchedEndpointType, "The request was sent to a broker endpoint.");
            }
            _ => return refuse(ResponseError::UnsupportedEndpointType, "Unknown endpoint type."),
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
        response
            .with_cluster_id(StrBytes::from_string(self.options.cluster_id.clone()))
            .with_controller_id(self.any_broker(&image).0.into())
            .with_brokers(brokers.collect())
    }
}
