//! The admin client: creates, deletes and describes topics (Kafka's `AdminClient`), trying again until the call's timeout.
//!
//! Brokers pass what concerns the controller on to it, so any broker will do. A create whose answer was lost is tried again like every
//! other call, and may then report `TopicAlreadyExists`, as with Kafka's own client.

use super::config::{AdminConfig, ConfigError};
use super::metadata::{Metadata, Topic};
use super::network::{Answer, Event, NetworkClient};
use crate::base::{BrokerId, Now, TopicId};
use crate::io::{self, clock, time};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions; -1 for the broker's default, and if `assignments` are given.
    pub partitions: i32,
    /// How many replicas each has; -1 for the broker's default, and if `assignments` are given.
    pub replication_factor: i16,
    /// Which brokers hold which partition, the preferred leader first; empty to let the controller choose.
    pub assignments: Vec<Vec<BrokerId>>,
    /// Topic settings in Kafka's keys.
    pub configs: BTreeMap<String, String>,
}

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

/// A topic, as some broker sees it.
pub type TopicDescription = Topic;

/// A topic with its name and state, or why it could not be described.
pub type Described = (Arc<str>, Result<TopicDescription, ResponseError>);

/// Why a call failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No definite answer within default.api.timeout.ms; `last` is the last error that a broker gave for trying again.
    #[error("no definite answer within default.api.timeout.ms (last error: {last:?})")]
    Timeout {
        /// What was tried again.
        last: Option<ResponseError>,
    },
    /// What a broker answered for good, or after all `retries`.
    #[error("{0:?}")]
    Broker(ResponseError),
}

/// An admin client. Nothing happens between calls: there is no task behind it.
pub struct Admin {
    cfg: AdminConfig,
    network: NetworkClient<Purpose>,
    metadata: Metadata,
    timer: time::Sleep,
    events: Vec<Event<Purpose>>,
    calls: u64,
}

/// What a request was for.
enum Purpose {
    Metadata,
    /// The call with this number; answers to abandoned ones are ignored.
    Call(u64),
}

/// One call on its way.
struct Call {
    number: u64,
    sent: bool,
    attempts: u32,
    not_before_ns: u64,
    deadline_ns: u64,
    last: Option<ResponseError>,
}

/// What an answer means for a call: its result, or the error for which it is tried again.
type Verdict<R> = Result<R, ResponseError>;

impl Admin {
    /// An admin client; it connects at the first call.
    ///
    /// # Errors
    /// `bootstrap.servers` is empty.
    pub fn new(cfg: AdminConfig) -> Result<Self, ConfigError> {
        if cfg.common.bootstrap_servers.is_empty() {
            return Err(ConfigError::Contradiction("bootstrap.servers names nobody"));
        }
        Ok(Self {
            network: NetworkClient::new(cfg.common.clone(), 1, io::rng(&format!("client {}", cfg.common.client_id))),
            metadata: Metadata::new(&cfg.common),
            timer: time::sleep_until(u64::MAX),
            events: Vec::new(),
            calls: 0,
            cfg,
        })
    }

    /// Creates topics; the results are in the order of `topics`.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole; otherwise each topic has its own result.
    pub async fn create_topics(&mut self, topics: &[NewTopic]) -> Result<Vec<Result<(), ResponseError>>, AdminError> {
        let names: Vec<Arc<str>> = topics.iter().map(|t| t.name.clone()).collect();
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(self.timeout_ms())
            .with_topics(topics.iter().map(creatable).collect());
        self.call(&request, |response: CreateTopicsResponse| {
            let code =
                |name: &Arc<str>| response.topics.iter().find(|t| t.name.as_str() == &**name).map(|t| t.error_code);
            per_topic(&names, code)
        })
        .await
    }

    /// Deletes topics; the results are in the order of `topics`.
    ///
    /// # Errors
    /// As [`Self::create_topics`].
    pub async fn delete_topics(&mut self, topics: &[Arc<str>]) -> Result<Vec<Result<(), ResponseError>>, AdminError> {
        let names: Vec<TopicName> = topics.iter().map(wire_name).collect();
        let states = names.iter().map(|name| DeleteTopicState::default().with_name(Some(name.clone())));
        let request = DeleteTopicsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(states.collect());
        self.call(&request, |response: DeleteTopicsResponse| {
            let named = |r: &&kafka_protocol::messages::delete_topics_response::DeletableTopicResult, name: &str| {
                r.name.as_ref().is_some_and(|n| n.as_str() == name)
            };
            per_topic(topics, |name| response.responses.iter().find(|r| named(r, name)).map(|r| r.error_code))
        })
        .await
    }

    /// Describes the cluster.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn describe_cluster(&mut self) -> Result<ClusterDescription, AdminError> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        self.call(&request, |response: MetadataResponse| {
            if response.brokers.is_empty() {
                return Err(ResponseError::BrokerNotAvailable);
            }
            let seen = self_contained(&response);
            Ok(ClusterDescription {
                cluster_id: response.cluster_id.map(|id| id.to_string()),
                controller: seen.controller(),
                brokers: seen.brokers().clone(),
            })
        })
        .await
    }

    /// Describes these topics, or all of them; the results are in the order of their names.
    ///
    /// # Errors
    /// [`AdminError`] if the call failed as a whole; otherwise each topic has its own result.
    pub async fn describe_topics(&mut self, topics: Option<&[Arc<str>]>) -> Result<Vec<Described>, AdminError> {
        let names = topics.map(|names| {
            names.iter().map(|name| MetadataRequestTopic::default().with_name(Some(wire_name(name)))).collect()
        });
        let request = MetadataRequest::default().with_topics(names).with_allow_auto_topic_creation(false);
        self.call(&request, |response: MetadataResponse| {
            let seen = self_contained(&response);
            let one = |t: &kafka_protocol::messages::metadata_response::MetadataResponseTopic| {
                let name: Arc<str> = Arc::from(t.name.as_ref()?.as_str());
                let error = ResponseError::try_from_code(t.error_code);
                let known = seen.topic(&name).cloned().ok_or(ResponseError::UnknownTopicOrPartition);
                Some((name, error.map_or(known, Err)))
            };
            let mut described: Vec<Described> = response.topics.iter().filter_map(one).collect();
            described.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(described)
        })
        .await
    }
    /// The id of a topic, if it exists.
    ///
    /// # Errors
    /// As [`Self::describe_topics`].
    pub async fn topic_id(&mut self, topic: &Arc<str>) -> Result<Option<TopicId>, AdminError> {
        let described = self.describe_topics(Some(std::slice::from_ref(topic))).await?;
        Ok(described.into_iter().find_map(|(_, result)| result.ok()).map(|t| t.id))
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cfg.common.request_timeout_ms).unwrap_or(i32::MAX)
    }

    /// Sends `request` to some broker until `judge` has a result.
    fn call<'a, Q: Request, R: 'a>(
        &'a mut self,
        request: &'a Q,
        mut judge: impl FnMut(Q::Response) -> Verdict<R> + 'a,
    ) -> impl Future<Output = Result<R, AdminError>> + 'a {
        self.calls += 1;
        let deadline_ns = clock::now().after_ms(self.cfg.default_api_timeout_ms);
        let mut call = Call { number: self.calls, sent: false, attempts: 0, not_before_ns: 0, deadline_ns, last: None };
        poll_fn(move |cx| {
            loop {
                let now = clock::now();
                let (result, next_ns) = self.turn(cx, now, &mut call, request, &mut judge);
                if let Some(result) = result {
                    return Poll::Ready(result);
                }
                if now.mono_ns >= call.deadline_ns {
                    return Poll::Ready(Err(AdminError::Timeout { last: call.last }));
                }
                self.timer.reset(next_ns.min(call.deadline_ns));
                if Pin::new(&mut self.timer).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
    }

    fn turn<Q: Request, R>(
        &mut self,
        cx: &mut Context<'_>,
        now: Now,
        call: &mut Call,
        request: &Q,
        judge: &mut impl FnMut(Q::Response) -> Verdict<R>,
    ) -> (Option<Result<R, AdminError>>, u64) {
        loop {
            self.network.poll(cx, now, &mut self.events);
            for event in std::mem::take(&mut self.events) {
                let judged = match self.take::<Q>(event, call, now) {
                    None => continue,
                    Some(Ok(response)) => judge(response),
                    Some(Err(error)) => Err(error),
                };
                match judged {
                    Ok(result) => return (Some(Ok(result)), now.mono_ns),
                    Err(error) if error.is_retriable() && call.attempts <= self.cfg.retries => {
                        tracing::debug!(?error, attempts = call.attempts, "admin call is tried again");
                        let pause = self.network.retry_backoff_ms(call.attempts.saturating_sub(1));
                        (call.sent, call.not_before_ns, call.last) = (false, now.after_ms(pause), Some(error));
                        self.metadata.request_update();
                    }
                    Err(error) => return (Some(Err(AdminError::Broker(error))), now.mono_ns),
                }
            }
            let next_ns = [
                self.network.refresh(&mut self.metadata, now, Purpose::Metadata),
                self.send(now, call, request),
                self.network.next_deadline_ns().unwrap_or(u64::MAX),
            ];
            if !self.network.take_dirty() {
                return (None, next_ns.into_iter().min().unwrap_or(u64::MAX));
            }
        }
    }
    /// What an event says about the call; [`None`] if it is about something else.
    fn take<Q: Request>(&mut self, event: Event<Purpose>, call: &Call, now: Now) -> Option<Verdict<Q::Response>> {
        match event {
            Event::Answer(answer) => match answer.context {
                Purpose::Metadata => {
                    self.take_metadata(answer, now);
                    None
                }
                Purpose::Call(number) if number == call.number => {
                    Some(answer.decode::<Q>().1.ok_or(ResponseError::UnknownServerError))
                }
                Purpose::Call(_) => None,
            },
            Event::Disconnected => {
                self.metadata.request_update();
                None
            }
            Event::Lost(lost) => match lost.context {
                Purpose::Metadata => {
                    self.network.refreshed(&mut self.metadata, now, None, &mut self.events);
                    None
                }
                Purpose::Call(number) => {
                    let error =
                        if lost.timed_out { ResponseError::RequestTimedOut } else { ResponseError::NetworkException };
                    (number == call.number).then_some(Err(error))
                }
            },
        }
    }
    fn take_metadata(&mut self, answer: Answer<Purpose>, now: Now) {
        let response = answer.decode::<MetadataRequest>().1;
        self.network.refreshed(&mut self.metadata, now, response.as_ref(), &mut self.events);
    }
    fn send<Q: Request>(&mut self, now: Now, call: &mut Call, request: &Q) -> u64 {
        if call.sent || self.metadata.brokers().is_empty() {
            return u64::MAX;
        }
        if call.not_before_ns > now.mono_ns {
            return call.not_before_ns;
        }
        match self.network.ready_least_loaded(self.metadata.brokers(), now) {
            Err(retry_ns) => retry_ns,
            Ok(node) => {
                call.attempts += 1;
                call.sent = self.network.send(node, now, request, Purpose::Call(call.number)).is_ok();
                if !call.sent {
                    call.last = Some(ResponseError::UnsupportedVersion);
                    call.not_before_ns = now.after_ms(self.network.retry_backoff_ms(call.attempts - 1));
                    return call.not_before_ns;
                }
                u64::MAX
            }
        }
    }
}

/// The result of each topic; [`Err`] if one of them is to be tried again. Those that have succeeded by then answer differently the next
/// time, so only errors that concern the whole request are retried.
fn per_topic(names: &[Arc<str>], code: impl Fn(&Arc<str>) -> Option<i16>) -> Verdict<Vec<Result<(), ResponseError>>> {
    let whole = |e: &ResponseError| {
        use ResponseError as E;
        matches!(e, E::NotController | E::RequestTimedOut | E::BrokerNotAvailable | E::NetworkException)
    };
    let results: Vec<Result<(), ResponseError>> = names
        .iter()
        .map(|name| code(name).map_or(Some(ResponseError::UnknownServerError), ResponseError::try_from_code))
        .map(|error| error.map_or(Ok(()), Err))
        .collect();
    let all_failed = results.iter().all(|r| r.as_ref().is_err_and(whole));
    match results.first() {
        Some(Err(error)) if all_failed => Err(*error),
        _ => Ok(results),
    }
}

/// One answer seen for itself, without what was known before.
fn self_contained(response: &MetadataResponse) -> Metadata {
    let mut rng = crate::base::random::Stream::new(0, "unused");
    let mut seen = Metadata::new(&super::config::CommonConfig::default());
    seen.update(Now::default(), response, &mut rng);
    seen
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let assignment = |(index, brokers): (i32, &Vec<BrokerId>)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(brokers.iter().map(|b| b.0.into()).collect())
    };
    let config = |(key, value): (&String, &String)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(key.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    };
    CreatableTopic::default()
        .with_name(wire_name(&topic.name))
        .with_num_partitions(if topic.assignments.is_empty() { topic.partitions } else { -1 })
        .with_replication_factor(if topic.assignments.is_empty() { topic.replication_factor } else { -1 })
        .with_assignments((0..).zip(&topic.assignments).map(assignment).collect())
        .with_configs(topic.configs.iter().map(config).collect())
}

fn wire_name(topic: &Arc<str>) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_string()))
}
