//! The shell around the controller core: replays committed metadata, runs the core while this node leads the quorum,
//! and serves the controller's requests. No rule lives here; they live in [`crate::controller`].
//!
//! ```text
//! ControllerNode::start(cfg: ControllerConfig, quorum: Arc<Quorum>, probe: Probe, tasks: &TaskSet) -> Arc<ControllerNode>
//! async node.broker_registration(req) / broker_heartbeat(req) / alter_partition(req) / allocate_producer_ids(req)
//!       / create_topics(req) / delete_topics(req) / envelope(req) -> the API's own response; NOT_CONTROLLER while inactive
//! node.is_active() -> bool;  node.image() -> Image     // committed metadata
//! ```
