//! One file for each family of APIs: decode, ask the rooms that know, encode. No protocol rule lives here.

mod admin;
mod controller;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_topic_partitions;
mod fetch;
mod groups;
mod list_offsets;
mod metadata;
mod produce;
mod producer_id;
mod records;
mod topics;

use std::future::Future;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;

use super::node::Node;
use super::server::{Handler, Reply, Request};
use crate::base::{BrokerId, LeaderEpoch};
use crate::wire::codec::lean::LeaderIdAndEpoch;
use crate::wire::codec::{self, Rpc};

impl Handler for Node {
    async fn handle(self: &Arc<Self>, request: Request) -> Reply {
        let version = request.version;
        match request.api {
            ApiKey::Produce => self.produce(&request).await,
            ApiKey::Fetch => answer(&request, |r| self.fetch(r, version)).await,
            ApiKey::ListOffsets => answer(&request, |r| self.list_offsets(r, version)).await,
            ApiKey::Metadata => answer(&request, |r| self.metadata(r, version)).await,
            ApiKey::DeleteRecords => answer(&request, |r| self.delete_records(r)).await,
            ApiKey::OffsetForLeaderEpoch => answer(&request, |r| self.offset_for_leader_epoch(r)).await,
            ApiKey::InitProducerId => answer(&request, |r| self.init_producer_id(r)).await,
            ApiKey::CreateTopics => answer(&request, |r| self.forward_create_topics(r, version)).await,
            ApiKey::DeleteTopics => answer(&request, |r| self.forward_delete_topics(r, version)).await,
            ApiKey::CreatePartitions => answer(&request, |r| self.forward_create_partitions(r, version)).await,
            ApiKey::ElectLeaders => answer(&request, |r| self.forward_elect_leaders(r, version)).await,
            ApiKey::AlterConfigs => answer(&request, |r| self.forward_alter_configs(r, version)).await,
            ApiKey::IncrementalAlterConfigs => {
                answer(&request, |r| self.forward_incremental_alter_configs(r, version)).await
            }
            ApiKey::AlterPartitionReassignments => {
                answer(&request, |r| self.forward_alter_partition_reassignments(r, version)).await
            }
            ApiKey::ListPartitionReassignments => {
                answer(&request, |r| self.forward_list_partition_reassignments(r, version)).await
            }
            ApiKey::UnregisterBroker => answer(&request, |r| self.forward_unregister_broker(r, version)).await,
            ApiKey::DescribeConfigs => answer(&request, |r| async move { self.describe_configs(&r) }).await,
            ApiKey::DescribeQuorum => answer(&request, |r| self.forward_describe_quorum(r, version)).await,
            ApiKey::DescribeLogDirs => answer(&request, |r| self.describe_log_dirs(r, version)).await,
            ApiKey::DescribeCluster => answer(&request, |r| async move { self.describe_cluster(&r) }).await,
            ApiKey::DescribeTopicPartitions => {
                answer(&request, |r| async move { self.describe_topic_partitions(&r) }).await
            }
            _ => self.handle_groups(request).await,
        }
    }
}

/// The server's table and this dispatch must agree; if they do not, the client gets a closed connection.
fn unserved(api: ApiKey) -> Reply {
    tracing::error!(?api, "an API is in the table of versions but has no handler");
    Reply::Close
}

/// Decodes the body, lets `serve` answer it and encodes the answer. A body that does not decode closes the connection.
async fn answer<R, F>(request: &Request, serve: impl FnOnce(R) -> F) -> Reply
where
    R: Rpc,
    F: Future<Output = R::Answer>,
{
    match codec::decode_request::<R>(request.version, &request.body) {
        Ok(body) => encode::<R>(request, &serve(body).await),
        Err(error) => {
            tracing::warn!(api = ?request.api, peer = %request.peer, %error, "malformed request");
            Reply::Close
        }
    }
}

fn encode<R: Rpc>(request: &Request, response: &R::Answer) -> Reply {
    match codec::encode_answer::<R>(request.correlation_id, request.version, response) {
        Ok(frame) => Reply::Frame(frame),
        Err(error) => {
            tracing::error!(api = ?request.api, %error, "an answer does not encode");
            Reply::Close
        }
    }
}

/// A leader as answers name it (KIP-951).
fn leader((id, epoch): (BrokerId, LeaderEpoch)) -> LeaderIdAndEpoch {
    LeaderIdAndEpoch { leader_id: id.0, leader_epoch: epoch.0 }
}
