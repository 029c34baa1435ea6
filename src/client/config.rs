//! What a client can be told, in Kafka's own keys, with Kafka's defaults (Apache Kafka 4.x).
//!
//! Nothing here connects to anything: it parses, checks and names mistakes.

use std::collections::BTreeSet;

use crate::base::random::Stream;

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such key; `nearest` is the known key that looks most like it.
    #[error("{key:?} is not a setting of this client; did you mean {nearest:?}?")]
    UnknownKey {
        /// What was asked for.
        key: String,
        /// The known key with the smallest edit distance.
        nearest: &'static str,
    },
    /// The value cannot be read, or lies outside what the key permits.
    #[error("{key} cannot be {value:?}: {reason}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value that was refused.
        value: String,
        /// What would have been right.
        reason: &'static str,
    },
    /// Settings that contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// `acks`: what must have happened before the broker answers a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `0`: the broker does not answer at all.
    None,
    /// `1`: the leader has appended.
    Leader,
    /// `all` or `-1`: every in-sync replica has appended.
    All,
}

impl Acks {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// `auto.offset.reset`: where to go when there is no position, or the position is outside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// To the start of the log.
    Earliest,
    /// To its end (the high watermark).
    Latest,
    /// Nowhere: the application is told.
    None,
}

impl OffsetReset {
    /// Whether there is anywhere to go.
    #[must_use]
    pub fn resets(self) -> bool {
        self != Self::None
    }
}

/// `isolation.level`. Only `read_uncommitted` is supported so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Everything below the high watermark.
    ReadUncommitted,
}

/// One of `partition.assignment.strategy`: how the leader of a group shares partitions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignorName {
    /// `range`: per topic, neighbouring partitions to each member.
    Range,
    /// `roundrobin`: all partitions in turn.
    RoundRobin,
    /// `sticky`: as even as can be, with as few moves as can be.
    Sticky,
    /// `cooperative-sticky`: the same, and members keep what they have while the group rebalances (KIP-429).
    CooperativeSticky,
}

impl AssignorName {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }
    /// By its name on the wire, or by that of Kafka's class.
    fn read(text: &str) -> Option<Self> {
        match text.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(text) {
            "range" | "RangeAssignor" => Some(Self::Range),
            "roundrobin" | "RoundRobinAssignor" => Some(Self::RoundRobin),
            "sticky" | "StickyAssignor" => Some(Self::Sticky),
            "cooperative-sticky" | "CooperativeStickyAssignor" => Some(Self::CooperativeSticky),
            _ => None,
        }
    }
}

/// `group.protocol`: how members come to know what they own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// `classic`: JoinGroup and SyncGroup, and a member that assigns.
    Classic,
    /// `consumer`: the coordinator assigns (KIP-848).
    Consumer,
}

/// A value of a setting, as a person writes it.
trait Setting: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! readable {
    ($($kind:ty, $expected:literal, $text:ident => $read:expr;)*) => {
        $(impl Setting for $kind {
            const EXPECTED: &'static str = $expected;
            fn read($text: &str) -> Option<Self> { $read }
        })*
    };
}

readable! {
    u64, "a whole number from 0 is needed", text => text.parse().ok().filter(|n| *n <= i64::MAX as u64);
    u32, "a whole number from 0 to 2147483647 is needed", text => text.parse().ok().filter(|n| *n <= i32::MAX as u32);
    bool, "true or false is needed", text => text.parse().ok();
    Option<bool>, "true or false is needed", text => text.parse().ok().map(Some);
    String, "a text is needed", text => Some(text.to_owned());
    Option<String>, "a name of one letter at least is needed", text => (!text.is_empty()).then(|| Some(text.to_owned()));
    Vec<AssignorName>, "range, roundrobin, sticky or cooperative-sticky, separated by commas, is needed",
        text => text.split(',').map(|name| AssignorName::read(name.trim())).collect();
    Vec<(String, u16)>, "host:port, separated by commas, is needed", text => host_ports(text);
    Acks, "0, 1 or all is needed", text => match text {
        "0" => Some(Self::None),
        "1" => Some(Self::Leader),
        "all" | "-1" => Some(Self::All),
        _ => None,
    };
    GroupProtocol, "classic or consumer is needed", text => match text.to_ascii_lowercase().as_str() {
        "classic" => Some(Self::Classic),
        "consumer" => Some(Self::Consumer),
        _ => None,
    };
    OffsetReset, "earliest, latest or none is needed", text => match text {
        "earliest" => Some(Self::Earliest),
        "latest" => Some(Self::Latest),
        "none" => Some(Self::None),
        _ => None,
    };
    IsolationLevel, "read_uncommitted is needed: read_committed is not supported", text => match text {
        "read_uncommitted" => Some(Self::ReadUncommitted),
        _ => None,
    };
}

fn host_ports(text: &str) -> Option<Vec<(String, u16)>> {
    let one = |entry: &str| {
        let (host, port) = entry.trim().rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(())?;
        Some((host.to_owned(), port.parse().ok()?))
    };
    text.split(',').map(one).collect()
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident $(extends $base:ident: $base_type:ident)? {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr, $key:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(
                /// What every client has.
                pub $base: $base_type,
            )?
            $($(#[$field_doc])* #[doc = concat!("(`", $key, "`)")] pub $field: $kind,)*
            /// The keys that were set, for keys that may not stand beside each other.
            pub given: BTreeSet<&'static str>,
        }
        impl Default for $name {
            fn default() -> Self {
                Self { $($base: $base_type::default(),)? $($field: $default,)* given: BTreeSet::new() }
            }
        }
        impl $name {
            /// The keys that [`Self::set`] knows.
            #[must_use]
            pub fn keys() -> Vec<&'static str> {
                [$($key),*].into_iter()$(.chain($base_type::keys()))?.collect()
            }
            /// Sets `key` to `value`, both as they stand in a Kafka properties file.
            ///
            /// # Errors
            /// Unknown keys (with the nearest known one) and values that the key does not permit.
            pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
                match key {
                    $($key => {
                        let bad = || ConfigError::BadValue {
                            key: $key, value: value.to_owned(), reason: <$kind as Setting>::EXPECTED,
                        };
                        self.$field = <$kind as Setting>::read(value.trim()).ok_or_else(bad)?;
                        self.given.insert($key);
                        Ok(())
                    })*
                    $(_ if $base_type::keys().contains(&key) => self.$base.set(key, value),)?
                    _ => Err(ConfigError::UnknownKey { key: key.to_owned(), nearest: nearest(key, &Self::keys()) }),
                }
            }
        }
    };
}

settings! {
    /// What every client has. All times are in milliseconds.
    CommonConfig {
        /// Where the first metadata comes from: host and port of some brokers.
        bootstrap_servers: Vec<(String, u16)> = Vec::new(), "bootstrap.servers";
        /// The name that brokers see.
        client_id: String = "ktrial".to_owned(), "client.id";
        /// How long one request may go unanswered before its connection is closed.
        request_timeout_ms: u64 = 30_000, "request.timeout.ms";
        /// Metadata older than this is refreshed without need.
        metadata_max_age_ms: u64 = 300_000, "metadata.max.age.ms";
        /// The pause before connecting again, doubled at each failure.
        reconnect_backoff_ms: u64 = 50, "reconnect.backoff.ms";
        /// Where that doubling ends.
        reconnect_backoff_max_ms: u64 = 1_000, "reconnect.backoff.max.ms";
        /// The pause before a request is tried again, doubled at each failure.
        retry_backoff_ms: u64 = 100, "retry.backoff.ms";
        /// Where that doubling ends.
        retry_backoff_max_ms: u64 = 1_000, "retry.backoff.max.ms";
        /// How long connecting may take, doubled at each failure.
        socket_connection_setup_timeout_ms: u64 = 10_000, "socket.connection.setup.timeout.ms";
        /// Where that doubling ends.
        socket_connection_setup_timeout_max_ms: u64 = 30_000, "socket.connection.setup.timeout.max.ms";
    }
}

settings! {
    /// Kafka's `ProducerConfig`.
    ProducerConfig extends common: CommonConfig {
        /// What must have happened before the broker answers.
        acks: Acks = Acks::All, "acks";
        /// Whether batches carry a producer id and sequences; unset means: if nothing contradicts it.
        enable_idempotence: Option<bool> = None, "enable.idempotence";
        /// How many produce requests may wait for an answer on one connection.
        max_in_flight: u32 = 5, "max.in.flight.requests.per.connection";
        /// How often a batch may be tried again.
        retries: u32 = i32::MAX as u32, "retries";
        /// How long a batch that is not full waits for more records.
        linger_ms: u64 = 5, "linger.ms";
        /// The size in bytes at which a batch is full.
        batch_size: u32 = 16_384, "batch.size";
        /// How many bytes of records may wait to be sent.
        buffer_memory: u64 = 32 << 20, "buffer.memory";
        /// How long `send` may wait for metadata or for room in the buffer.
        max_block_ms: u64 = 60_000, "max.block.ms";
        /// The largest produce request, and the largest record, in bytes.
        max_request_size: u32 = 1 << 20, "max.request.size";
        /// From `send` to success or failure.
        delivery_timeout_ms: u64 = 120_000, "delivery.timeout.ms";
        /// Whether the partitioner ignores keys.
        partitioner_ignore_keys: bool = false, "partitioner.ignore.keys";
        /// Whether keyless records prefer partitions with shorter queues (KIP-794).
        partitioner_adaptive: bool = true, "partitioner.adaptive.partitioning.enable";
    }
}

settings! {
    /// Kafka's `ConsumerConfig`.
    ConsumerConfig extends common: CommonConfig {
        /// Where to go without a valid position.
        auto_offset_reset: OffsetReset = OffsetReset::Latest, "auto.offset.reset";
        /// Which records are visible.
        isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted, "isolation.level";
        /// How long a broker may hold a fetch that has nothing to answer.
        fetch_max_wait_ms: u32 = 500, "fetch.max.wait.ms";
        /// How many bytes a broker should gather before it answers.
        fetch_min_bytes: u32 = 1, "fetch.min.bytes";
        /// How many bytes one fetch may bring.
        fetch_max_bytes: u32 = 50 << 20, "fetch.max.bytes";
        /// How many bytes one partition may bring in one fetch.
        max_partition_fetch_bytes: u32 = 1 << 20, "max.partition.fetch.bytes";
        /// How many records one poll may return.
        max_poll_records: u32 = 500, "max.poll.records";
        /// How long a call other than `poll` may take.
        default_api_timeout_ms: u64 = 60_000, "default.api.timeout.ms";
        /// The group that the consumer shares partitions with, and in whose name it commits offsets.
        group_id: Option<String> = None, "group.id";
        /// How the group shares partitions out.
        group_protocol: GroupProtocol = GroupProtocol::Classic, "group.protocol";
        /// Which of the coordinator's assignors a member of the consumer protocol asks for.
        group_remote_assignor: Option<String> = None, "group.remote.assignor";
        /// The name of a static member, which keeps its partitions over a restart (KIP-345).
        group_instance_id: Option<String> = None, "group.instance.id";
        /// After this silence the coordinator takes a member for dead.
        session_timeout_ms: u32 = 45_000, "session.timeout.ms";
        /// How often a member shows that it lives.
        heartbeat_interval_ms: u32 = 3_000, "heartbeat.interval.ms";
        /// A member that has not polled for so long leaves by itself; a rebalance waits for members no longer.
        max_poll_interval_ms: u32 = 300_000, "max.poll.interval.ms";
        /// How partitions are shared out, in the order of preference.
        partition_assignment_strategy: Vec<AssignorName> = vec![AssignorName::Range, AssignorName::CooperativeSticky], "partition.assignment.strategy";
        /// Whether what was polled is committed by itself; unset means: in a group.
        enable_auto_commit: Option<bool> = None, "enable.auto.commit";
        /// How often.
        auto_commit_interval_ms: u64 = 5_000, "auto.commit.interval.ms";
    }
}

settings! {
    /// Kafka's `AdminClientConfig`.
    AdminConfig extends common: CommonConfig {
        /// How long a call may take with all its retries.
        default_api_timeout_ms: u64 = 60_000, "default.api.timeout.ms";
        /// How often a call may be tried again.
        retries: u32 = i32::MAX as u32, "retries";
    }
}

impl ProducerConfig {
    /// Whether this producer is idempotent: switched on, or left alone with nothing contradicting it (KIP-679).
    #[must_use]
    pub fn idempotent(&self) -> bool {
        self.enable_idempotence.unwrap_or(self.idempotence_permitted())
    }
    fn idempotence_permitted(&self) -> bool {
        self.acks == Acks::All && self.retries > 0 && self.max_in_flight <= 5
    }
    /// Checks what no single key can know.
    ///
    /// # Errors
    /// A [`ConfigError::Contradiction`], as Kafka's `ProducerConfig` would raise it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let idempotence_contradicted = self.enable_idempotence == Some(true) && !self.idempotence_permitted();
        let too_short = self.delivery_timeout_ms < self.linger_ms.saturating_add(self.common.request_timeout_ms);
        let rules = [
            (self.common.bootstrap_servers.is_empty(), "bootstrap.servers names nobody"),
            (idempotence_contradicted, "enable.idempotence needs acks=all, retries above 0 and at most 5 in flight"),
            (too_short, "delivery.timeout.ms must be at least linger.ms + request.timeout.ms"),
            (self.max_in_flight == 0, "max.in.flight.requests.per.connection must be at least 1"),
        ];
        rules.iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, why)| Err(ConfigError::Contradiction(why)))
    }
}

impl ConsumerConfig {
    /// Whether offsets are committed by themselves: as it is set, otherwise in a group.
    #[must_use]
    pub fn auto_commit(&self) -> bool {
        self.enable_auto_commit.unwrap_or(self.group_id.is_some())
    }
    /// Checks what no single key can know.
    ///
    /// # Errors
    /// A [`ConfigError::Contradiction`], as Kafka's `ConsumerConfig` and `Heartbeat` would raise it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let alone = self.group_id.is_none();
        let rules = [
            (self.common.bootstrap_servers.is_empty(), "bootstrap.servers names nobody"),
            (alone && self.enable_auto_commit == Some(true), "enable.auto.commit needs a group.id"),
            (alone && self.group_instance_id.is_some(), "group.instance.id needs a group.id"),
            (
                self.heartbeat_interval_ms >= self.session_timeout_ms,
                "heartbeat.interval.ms must be lower than session.timeout.ms",
            ),
        ];
        let broken = rules.iter().find(|(broken, _)| *broken).map(|(_, why)| *why);
        let refused = self.given.iter().find_map(|key| Self::refused(self.group_protocol, key));
        broken.or(refused).map_or(Ok(()), |why| Err(ConfigError::Contradiction(why)))
    }
    /// Why a key may not be set under a protocol (`ConsumerConfig.checkUnsupportedConfigsPostProcess`).
    #[must_use]
    pub fn refused(protocol: GroupProtocol, key: &str) -> Option<&'static str> {
        match (protocol, key) {
            (GroupProtocol::Consumer, "partition.assignment.strategy") => {
                Some("partition.assignment.strategy cannot be set when group.protocol=CONSUMER")
            }
            (GroupProtocol::Consumer, "heartbeat.interval.ms") => {
                Some("heartbeat.interval.ms cannot be set when group.protocol=CONSUMER")
            }
            (GroupProtocol::Consumer, "session.timeout.ms") => {
                Some("session.timeout.ms cannot be set when group.protocol=CONSUMER")
            }
            (GroupProtocol::Classic, "group.remote.assignor") => {
                Some("group.remote.assignor cannot be set when group.protocol=CLASSIC")
            }
            _ => None,
        }
    }
}

/// `base * 2^failures`, at most `max`, give or take a fifth: Kafka's `ExponentialBackoff` in integers.
#[must_use]
pub fn exponential_backoff_ms(base: u64, max: u64, failures: u32, rng: &mut Stream) -> u64 {
    let term = base.saturating_mul(1u64.checked_shl(failures).unwrap_or(u64::MAX)).min(max.max(base));
    let jitter = term / 5;
    if jitter == 0 { term } else { rng.between(term - jitter, term + jitter).min(max.max(base)) }
}

fn nearest(key: &str, known: &[&'static str]) -> &'static str {
    known.iter().copied().min_by_key(|candidate| distance(key, candidate)).expect("a client has settings")
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replace = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_other_protocol_is_refused() {
        let cfg = |entries: &[(&str, &str)]| {
            let mut cfg = ConsumerConfig::default();
            cfg.set("bootstrap.servers", "node1:9092").unwrap();
            entries.iter().for_each(|(key, value)| cfg.set(key, value).unwrap());
            cfg.validate()
        };
        let next = ("group.protocol", "CONSUMER");
        assert_eq!(cfg(&[next, ("group.id", "g"), ("group.remote.assignor", "range")]), Ok(()));
        for (key, value) in [
            ("session.timeout.ms", "45000"),
            ("heartbeat.interval.ms", "3000"),
            ("partition.assignment.strategy", "range"),
        ] {
            assert!(matches!(cfg(&[next, (key, value)]), Err(ConfigError::Contradiction(why)) if why.contains(key)));
            assert_eq!(cfg(&[(key, value)]), Ok(()));
        }
        assert!(cfg(&[("group.remote.assignor", "range")]).is_err());
        assert!(ConsumerConfig::default().set("group.protocol", "share").is_err());
    }

    #[test]
    fn a_properties_file_sets_own_and_common_keys() {
        let mut cfg = ProducerConfig::default();
        cfg.set("bootstrap.servers", "node1:9092, [::1]:9093").unwrap();
        cfg.set("linger.ms", " 20 ").unwrap();
        cfg.set("acks", "-1").unwrap();
        assert_eq!(cfg.common.bootstrap_servers, vec![("node1".into(), 9092), ("::1".into(), 9093)]);
        assert_eq!((cfg.linger_ms, cfg.acks), (20, Acks::All));
        assert!(cfg.idempotent() && cfg.validate().is_ok());
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_nearest_one() {
        let told = ProducerConfig::default().set("linger.mss", "1");
        assert_eq!(told, Err(ConfigError::UnknownKey { key: "linger.mss".into(), nearest: "linger.ms" }));
        let told = ConsumerConfig::default().set("reqest.timeout.ms", "1");
        assert!(matches!(told, Err(ConfigError::UnknownKey { nearest: "request.timeout.ms", .. })));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_and_nothing_changes() {
        let mut cfg = ConsumerConfig::default();
        assert!(matches!(cfg.set("fetch.min.bytes", "-1"), Err(ConfigError::BadValue { key: "fetch.min.bytes", .. })));
        assert!(cfg.set("isolation.level", "read_committed").is_err());
        assert!(cfg.set("bootstrap.servers", "node1").is_err());
        assert_eq!(cfg.fetch_min_bytes, 1);
    }

    #[test]
    fn weaker_acks_switch_idempotence_off_unless_it_was_asked_for() {
        let mut cfg = ProducerConfig::default();
        cfg.set("bootstrap.servers", "a:1").unwrap();
        cfg.set("acks", "1").unwrap();
        assert!(!cfg.idempotent() && cfg.validate().is_ok());
        cfg.set("enable.idempotence", "true").unwrap();
        assert!(matches!(cfg.validate(), Err(ConfigError::Contradiction(_))));
    }

    #[test]
    fn what_concerns_a_group_needs_one() {
        let mut cfg = ConsumerConfig::default();
        cfg.set("bootstrap.servers", "a:1").unwrap();
        assert!(!cfg.auto_commit() && cfg.validate().is_ok());
        cfg.set("enable.auto.commit", "true").unwrap();
        assert!(matches!(cfg.validate(), Err(ConfigError::Contradiction(_))));
        assert!(cfg.set("group.id", "").is_err());
        cfg.set("group.id", "billing").unwrap();
        assert!(cfg.validate().is_ok());
        cfg.set("heartbeat.interval.ms", "45000").unwrap();
        assert!(matches!(cfg.validate(), Err(ConfigError::Contradiction(_))));
    }

    #[test]
    fn assignors_are_known_by_both_their_names() {
        let mut cfg = ConsumerConfig::default();
        assert_eq!(cfg.partition_assignment_strategy, [AssignorName::Range, AssignorName::CooperativeSticky]);
        let class = "org.apache.kafka.clients.consumer.RoundRobinAssignor";
        cfg.set("partition.assignment.strategy", &format!("sticky, {class}")).unwrap();
        assert_eq!(cfg.partition_assignment_strategy, [AssignorName::Sticky, AssignorName::RoundRobin]);
        assert!(cfg.set("partition.assignment.strategy", "fair").is_err());
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let mut rng = Stream::new(1, "backoff");
        for (failures, low, high) in [(0, 80, 120), (1, 160, 240), (3, 640, 960), (4, 800, 1000), (99, 800, 1000)] {
            let pause = exponential_backoff_ms(100, 1000, failures, &mut rng);
            assert!((low..=high).contains(&pause), "{pause} after {failures} failures");
        }
    }
}
