//! Fetch on the controller listener: the metadata quorum's own log and nothing else.

use std::sync::Arc;

use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::super::node::Node;

impl Node {
    pub(super) async fn quorum_fetch(self: &Arc<Self>, request: FetchRequest, _version: i16) -> FetchResponse {
        self.quorum.handle_fetch(request).await
    }
}
