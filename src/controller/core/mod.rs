//! The active controller's decisions.
//!
//! [`ControllerCore::step`] is told what happened and says what to append and what to answer. It decides on an image that
//! runs ahead of the metadata log by what it has proposed; an answer waits until everything that it may rest on is
//! committed, also the answer to a request that changed nothing (Kafka's deferred events). When the quorum is lost all of
//! it is forgotten, and whoever waits hears NOT_CONTROLLER.
//!
//! | file | rule |
//! |---|---|
//! | [`registration`], [`heartbeat`], [`sessions`], [`unregister`] | the life of a broker |
//! | [`liveness`] | what it does to the partitions |
//! | [`change`] | elections and eligible leader replicas |
//! | [`alter_partition`] | what a leader may propose |
//! | [`create_topics`], [`delete_topics`], [`create_partitions`], [`placement`], [`replicas`], [`topic_names`] | topics |
//! | [`elect_leaders`], [`upkeep`] | elections that are asked for, and those whose time has come |
//! | [`reassignment`], [`list_reassignments`] | moving partitions to other brokers |
//! | [`alter_configs`] | dynamic configuration |
//! | [`producer_ids`], [`features`] | ids and levels |
//!
//! Deliberately absent: metadata transactions, log directories, quotas and authorization.

mod alter_configs;
mod alter_partition;
mod change;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
mod features;
mod heartbeat;
mod list_reassignments;
mod liveness;
mod placement;
mod producer_ids;
mod reassignment;
mod refusal;
mod register_controller;
mod registration;
mod replicas;
mod sessions;
mod topic_names;
mod turn;
mod types;
mod unregister;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use kafka_protocol::ResponseError;

pub use features::{
    ELIGIBLE_LEADER_REPLICAS, METADATA_VERSION, METADATA_VERSION_3_7, METADATA_VERSION_4_1, broker_features,
};
pub use producer_ids::PRODUCER_ID_BLOCK_SIZE;
pub use types::{ControllerConfig, Input, Output, Request, Response, Token};

use self::sessions::Sessions;
use self::turn::Turn;
use self::upkeep::Upkeep;
use crate::base::marks::{Mark, mark};
use crate::base::random::Stream;
use crate::base::{LeaderEpoch, Now, Offset};
use crate::controller::image::Image;
use crate::wire::records::{MetadataRecord, NoOpRecord};

/// The controller, active or not.
#[derive(Debug)]
pub struct ControllerCore {
    config: ControllerConfig,
    random: Stream,
    active: Option<Active>,
}

/// What only the active controller has.
#[derive(Debug)]
struct Active {
    epoch: LeaderEpoch,
    /// Everything that was committed or proposed.
    image: Image,
    sessions: Sessions,
    /// Everything below is committed.
    committed: Offset,
    /// Answers in the order of the offsets that they wait for.
    waiting: VecDeque<Waiting>,
    /// When the next no-op record is due, in monotonic nanoseconds.
    idle_until: Option<u64>,
    upkeep: Upkeep,
}

#[derive(Debug)]
struct Waiting {
    /// Everything below must be committed.
    until: Offset,
    token: Token,
    response: Response,
}

impl ControllerCore {
    /// An inactive controller; `random` is for topic ids and placement.
    #[must_use]
    pub fn new(config: ControllerConfig, random: Stream) -> Self {
        Self { config, random, active: None }
    }

    /// The quorum epoch of this controller's activity, from [`Input::BecameActive`] to [`Input::Resigned`].
    #[must_use]
    pub fn epoch(&self) -> Option<LeaderEpoch> {
        self.active.as_ref().map(|active| active.epoch)
    }

    /// The image that decisions are taken on: what is committed and what is proposed. `None` while inactive.
    #[must_use]
    pub fn image(&self) -> Option<&Image> {
        self.active.as_ref().map(|active| &active.image)
    }

    /// When [`Input::Tick`] is due, in monotonic nanoseconds.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let active = self.active.as_ref()?;
        [active.sessions.next_deadline(&active.image), active.idle_until, active.upkeep.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes in what happened and appends to `out` what is to be done.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::BecameActive { epoch, image } => self.activate(now, epoch, image, out),
            Input::Resigned => self.resign(out),
            Input::Request { token, request } => self.serve(now, token, &request, out),
            Input::Committed { upto } => self.release(upto, out),
            Input::Tick => self.tick(now, out),
        }
    }

    fn activate(&mut self, now: Now, epoch: LeaderEpoch, image: Image, out: &mut Vec<Output>) {
        self.resign(out);
        let sessions = Sessions::new(self.config.session_timeout_ms, &image, now);
        let is_new_cluster = image.feature(METADATA_VERSION).is_none();
        let committed = image.next();
        let idle_until = self.idle_until(now);
        let (waiting, upkeep) = (VecDeque::new(), Upkeep::default());
        self.active = Some(Active { epoch, image, sessions, committed, waiting, idle_until, upkeep });
        if is_new_cluster {
            self.run(now, out, features::bootstrap);
        }
        self.schedule_upkeep(now);
    }

    fn resign(&mut self, out: &mut Vec<Output>) {
        let Some(active) = self.active.take() else { return };
        out.extend(
            active.waiting.into_iter().map(|w| Output::Reply {
                token: w.token,
                response: w.response.turned_down(ResponseError::NotController),
            }),
        );
    }

    fn serve(&mut self, now: Now, token: Token, request: &Request, out: &mut Vec<Output>) {
        if self.active.is_none() {
            out.push(Output::Reply { token, response: request.refuse(ResponseError::NotController) });
            return;
        }
        let response = self.run(now, out, |turn| answer(turn, request).unwrap_or_else(|error| request.refuse(error)));
        let active = self.active.as_mut().expect("it was active before the turn");
        let until = active.image.next();
        if until <= active.committed {
            out.push(Output::Reply { token, response });
        } else {
            active.waiting.push_back(Waiting { until, token, response });
        }
    }

    fn release(&mut self, upto: Offset, out: &mut Vec<Output>) {
        let Some(active) = self.active.as_mut() else { return };
        active.committed = active.committed.max(upto);
        let ready = active.waiting.partition_point(|w| w.until <= active.committed);
        out.extend(active.waiting.drain(..ready).map(|w| Output::Reply { token: w.token, response: w.response }));
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Output>) {
        // One at a time, so that each election sees what the fencing before it did.
        while let Some(id) = self.active.as_ref().and_then(|a| a.sessions.expired(&a.image, now)) {
            mark(Mark::SessionExpired);
            self.run(now, out, |turn| turn.fence(id));
        }
        let idle = self.active.as_ref().and_then(|a| a.idle_until);
        if idle.is_some_and(|until| until <= now.mono_ns) {
            self.run(now, out, |turn| turn.write(NoOpRecord {}));
        }
        if self.active.as_ref().and_then(|a| a.upkeep.next_deadline()).is_some_and(|at| at <= now.mono_ns) {
            self.run_upkeep(now, out);
        }
    }

    /// Runs a rule and proposes what it wrote.
    fn run<R>(&mut self, now: Now, out: &mut Vec<Output>, rule: impl FnOnce(&mut Turn<'_>) -> R) -> R {
        let idle_until = self.idle_until(now);
        let active = self.active.as_mut().expect("rules run on the active controller");
        let base = active.image.next();
        let mut turn = Turn::new(now, &self.config, &mut self.random, &mut active.sessions, &mut active.image);
        let result = rule(&mut turn);
        let records = turn.into_records();
        let moved =
            records.iter().any(|r| matches!(r, MetadataRecord::PartitionChange(_) | MetadataRecord::Partition(_)));
        if !records.is_empty() {
            active.idle_until = idle_until;
            out.push(Output::Propose { epoch: active.epoch, base, records });
        }
        if moved {
            self.schedule_upkeep(now);
        }
        result
    }

    fn idle_until(&self, now: Now) -> Option<u64> {
        (self.config.max_idle_interval_ms > 0).then(|| now.after_ms(self.config.max_idle_interval_ms))
    }
}

/// The one place that knows which rule answers which request.
fn answer(turn: &mut Turn<'_>, request: &Request) -> Result<Response, ResponseError> {
    Ok(match request {
        Request::RegisterBroker(r) => Response::RegisterBroker(registration::register(turn, r)?),
        Request::RegisterController(r) => Response::RegisterController(register_controller::register(turn, r)?),
        Request::Heartbeat(r) => Response::Heartbeat(heartbeat::heartbeat(turn, r)?),
        Request::AlterPartition(r) => Response::AlterPartition(alter_partition::alter(turn, r)?),
        Request::AllocateProducerIds(r) => Response::AllocateProducerIds(producer_ids::allocate(turn, r)?),
        Request::CreateTopics(r) => Response::CreateTopics(create_topics::create(turn, r)),
        Request::DeleteTopics(r) => Response::DeleteTopics(delete_topics::delete(turn, r)),
        Request::CreatePartitions(r) => Response::CreatePartitions(create_partitions::create(turn, r)),
        Request::ElectLeaders(r) => Response::ElectLeaders(elect_leaders::elect(turn, r)?),
        Request::AlterConfigs(r) => Response::AlterConfigs(alter_configs::legacy(turn, r)),
        Request::IncrementalAlterConfigs(r) => Response::IncrementalAlterConfigs(alter_configs::incremental(turn, r)),
        Request::AlterPartitionReassignments(r) => Response::AlterPartitionReassignments(reassignment::alter(turn, r)),
        Request::ListPartitionReassignments(r) => {
            Response::ListPartitionReassignments(list_reassignments::list(turn.image(), r))
        }
        Request::UnregisterBroker(r) => Response::UnregisterBroker(unregister::unregister(turn, r)?),
    })
}
