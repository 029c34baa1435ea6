//! What happens to the cluster: when, for how long, and what.

use serde::{Deserialize, Serialize};

use super::operations::{AddPartitions, Comer, ElectPreferred, MoveLeader, Reassign, SetConfig};
use super::target::{Member, Target};
use super::when::When;
use super::{Topic, defaults};
use crate::base::TopicPartition;
use crate::scenario::units::{Bytes, Millis, Shift, partition_name};

/// Something that happens to the cluster in the chaos phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When it happens first.
    #[serde(flatten)]
    pub when: When,
    /// It happens again and again, so long after one another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Millis>,
    /// The moment after which it does not happen again; the end of the chaos phase if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// How long it lasts before it ends by itself; until healing, or another fault ends it, if `None`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Millis>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

impl Fault {
    /// Something that happens once, at a moment.
    #[must_use]
    pub fn at(at: Millis, action: Action) -> Self {
        Self { when: When::At(at), every: None, until: None, lasts: None, action }
    }
    /// The moment at which it happens first; `None` if it waits for something.
    #[must_use]
    pub fn moment(&self) -> Option<Millis> {
        match self.when {
            When::At(at) => Some(at),
            When::After(_) => None,
        }
    }
}

/// What can happen to the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The node is gone and with it everything that was not on its disk; its peers hear nothing more.
    PowerCut(Target),
    /// The process dies: its kernel keeps the page cache and resets its connections.
    Crash(Target),
    /// The process is asked to end: a controlled shutdown, then a clean one.
    Stop(Target),
    /// A node that is down boots; one that is stopping boots once it has ended.
    Start(Target),
    /// The process dies and its partitions' logs are gone; the metadata log and the quorum's state stay.
    Wipe(Target),
    /// The process stands still (SIGSTOP) while its kernel goes on.
    Pause(Target),
    /// The whole virtual machine stands still, its kernel too.
    Freeze(Target),
    /// What was paused or frozen goes on.
    Resume(Target),
    /// Packets between two nodes are dropped.
    Cut(Link),
    /// Packets between a node and all other nodes are dropped, both ways.
    Isolate(Target),
    /// Packets between the members of different groups are dropped.
    Partition(Groups),
    /// As `partition`, but one broker goes on to reach everybody.
    Bridge(Bridge),
    /// Every link works again as at first: ends cuts, slowness, loss and clogs.
    Heal(Heal),
    /// A link takes longer, or carries less.
    SlowLink(SlowLink),
    /// A link loses segments, which TCP sends again later.
    LossyLink(LossyLink),
    /// Frames arrive damaged: a bit has flipped in what the receiver can check.
    CorruptFrames(CorruptFrames),
    /// A link holds everything back without losing it.
    Clog(Link),
    /// Connections are reset under both ends.
    ResetConnections(Pair),
    /// The next requests of an API are held back on their way, so that they arrive after their own retry.
    DelayRequest(DelayRequest),
    /// A disk answers no more; what was asked of it waits.
    DiskStall(Target),
    /// A disk is slow.
    DiskSlow(DiskSlow),
    /// Operations of a disk fail with EIO.
    DiskError(DiskError),
    /// A disk has no room left.
    DiskFull(DiskFull),
    /// Bits of what lies on a disk flip.
    BitRot(BitRot),
    /// One page is written in the place of another.
    Misdirect(Misdirect),
    /// A node's clocks run too fast or too slow.
    ClockDrift(ClockDrift),
    /// A node's wall clock jumps.
    ClockStep(ClockStep),
    /// A producer writes a record that nobody can process.
    Poison(Poison),
    /// A topic is created by an admin client.
    CreateTopic(Topic),
    /// An admin client adds partitions to a topic.
    AddPartitions(AddPartitions),
    /// An admin client makes another replica the preferred one and has it elected.
    MoveLeader(MoveLeader),
    /// An admin client has preferred replicas elected.
    ElectPreferred(ElectPreferred),
    /// An admin client changes dynamic configuration.
    SetConfig(SetConfig),
    /// An admin client moves a partition to other brokers.
    Reassign(Reassign),
    /// A broker comes to the cluster that was no part of it, or members of a group start that did not run.
    Join(Comer),
    /// A broker that had joined leaves the cluster for good: it is stopped and unregistered; or members leave their group in
    /// good order and end.
    Leave(Comer),
}

impl Action {
    /// The key under which the action stands in a scenario file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PowerCut(_) => "power-cut",
            Self::Crash(_) => "crash",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Wipe(_) => "wipe",
            Self::Pause(_) => "pause",
            Self::Freeze(_) => "freeze",
            Self::Resume(_) => "resume",
            Self::Cut(_) => "cut",
            Self::Isolate(_) => "isolate",
            Self::Partition(_) => "partition",
            Self::Bridge(_) => "bridge",
            Self::Heal(_) => "heal",
            Self::SlowLink(_) => "slow-link",
            Self::LossyLink(_) => "lossy-link",
            Self::CorruptFrames(_) => "corrupt-frames",
            Self::Clog(_) => "clog",
            Self::ResetConnections(_) => "reset-connections",
            Self::DelayRequest(_) => "delay-request",
            Self::DiskStall(_) => "disk-stall",
            Self::DiskSlow(_) => "disk-slow",
            Self::DiskError(_) => "disk-error",
            Self::DiskFull(_) => "disk-full",
            Self::BitRot(_) => "bit-rot",
            Self::Misdirect(_) => "misdirect",
            Self::ClockDrift(_) => "clock-drift",
            Self::ClockStep(_) => "clock-step",
            Self::Poison(_) => "poison",
            Self::CreateTopic(_) => "create-topic",
            Self::AddPartitions(_) => "add-partitions",
            Self::MoveLeader(_) => "move-leader",
            Self::ElectPreferred(_) => "elect-preferred",
            Self::SetConfig(_) => "set-config",
            Self::Reassign(_) => "reassign",
            Self::Join(_) => "join",
            Self::Leave(_) => "leave",
        }
    }
    /// True if the action puts something into a state that can end, so that it can be given a length.
    #[must_use]
    pub fn can_end(&self) -> bool {
        !matches!(
            self,
            Self::Start(_)
                | Self::Resume(_)
                | Self::Heal(_)
                | Self::ResetConnections(_)
                | Self::DelayRequest(_)
                | Self::BitRot(_)
                | Self::Misdirect(_)
                | Self::Poison(_)
                | Self::Join(_)
        ) && !self.is_operation()
    }
    /// True if it is no fault but what an administrator does.
    #[must_use]
    pub fn is_operation(&self) -> bool {
        matches!(
            self,
            Self::CreateTopic(_)
                | Self::AddPartitions(_)
                | Self::MoveLeader(_)
                | Self::ElectPreferred(_)
                | Self::SetConfig(_)
                | Self::Reassign(_)
                | Self::Join(Comer::Broker(_))
                | Self::Leave(Comer::Broker(_))
        )
    }
    /// Whom it hits, each with the key below the action's own under which the target stands (empty if it stands there
    /// itself).
    #[must_use]
    pub fn targets(&self) -> Vec<(&'static str, &Target)> {
        match self {
            Self::PowerCut(t)
            | Self::Crash(t)
            | Self::Stop(t)
            | Self::Start(t)
            | Self::Wipe(t)
            | Self::Pause(t)
            | Self::Freeze(t)
            | Self::Resume(t)
            | Self::Isolate(t)
            | Self::DiskStall(t) => vec![("", t)],
            Self::Poison(Poison { by, .. }) => vec![("by", by)],
            Self::Cut(Link { from, to, .. })
            | Self::SlowLink(SlowLink { from, to, .. })
            | Self::LossyLink(LossyLink { from, to, .. })
            | Self::CorruptFrames(CorruptFrames { from, to, .. })
            | Self::Clog(Link { from, to, .. })
            | Self::ResetConnections(Pair { from, to })
            | Self::DelayRequest(DelayRequest { from, to, .. }) => vec![("from", from), ("to", to)],
            Self::DiskSlow(DiskSlow { on, .. })
            | Self::DiskError(DiskError { on, .. })
            | Self::DiskFull(DiskFull { on, .. })
            | Self::BitRot(BitRot { on, .. })
            | Self::Misdirect(Misdirect { on, .. })
            | Self::ClockDrift(ClockDrift { on, .. })
            | Self::ClockStep(ClockStep { on, .. }) => vec![("on", on)],
            Self::Partition(_)
            | Self::Bridge(_)
            | Self::Heal(_)
            | Self::CreateTopic(_)
            | Self::AddPartitions(_)
            | Self::MoveLeader(_)
            | Self::ElectPreferred(_)
            | Self::SetConfig(_)
            | Self::Reassign(_)
            | Self::Join(_)
            | Self::Leave(_) => Vec::new(),
        }
    }
}

/// A link between two nodes, both ways or one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
    /// True if only the way from `from` to `to` is meant.
    #[serde(default)]
    pub one_way: bool,
}

/// Two sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pair {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
}

/// Groups that do not reach one another; whoever is in none reaches everybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Groups {
    /// Each with its members.
    pub groups: Vec<Vec<Member>>,
}

/// Groups that do not reach one another but by one broker's eyes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bridge {
    /// Each with its members.
    pub groups: Vec<Vec<Member>>,
    /// Who reaches them all.
    pub over: crate::base::BrokerId,
}

/// What `heal` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heal {
    /// Everything that is wrong with any link.
    All,
}

/// A slow link; what is `None` stays as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlowLink {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
    /// True if only the way from `from` to `to` is meant.
    #[serde(default)]
    pub one_way: bool,
    /// What everything takes at least, in place of the link's own latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Millis>,
    /// Up to so much more, in place of the link's own jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Millis>,
    /// Bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bytes>,
}

/// A link that loses segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LossyLink {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
    /// True if only the way from `from` to `to` is meant.
    #[serde(default)]
    pub one_way: bool,
    /// How many of a hundred segments are lost.
    pub percent: f64,
}

/// A link on which frames are damaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CorruptFrames {
    /// One side.
    pub from: Target,
    /// The other side.
    pub to: Target,
    /// True if only what goes from `from` to `to` is damaged.
    #[serde(default)]
    pub one_way: bool,
    /// How many of a hundred frames are damaged.
    pub percent: f64,
}

/// Requests that are held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DelayRequest {
    /// Kafka's name of the API, like `Produce`.
    pub api: String,
    /// Who sends them.
    pub from: Target,
    /// To whom.
    pub to: Target,
    /// How long each is held back, and with it what follows on its connection.
    pub by: Millis,
    /// How many.
    #[serde(default = "defaults::one")]
    pub count: u32,
}

/// A slow disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskSlow {
    /// Whose.
    pub on: Target,
    /// What every operation takes more.
    #[serde(default = "defaults::disk_latency")]
    pub latency: Millis,
    /// Bytes per second; no limit if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bytes>,
}

/// A disk that gives up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskError {
    /// Whose.
    pub on: Target,
    /// Which operations fail.
    pub op: DiskOp,
    /// How many of them.
    #[serde(default = "defaults::one")]
    pub count: u32,
}

/// The operations of a disk that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskOp {
    /// Reading a file.
    Read,
    /// Changing a file's contents.
    Append,
    /// Making a file or a directory durable.
    Sync,
}

/// A disk without room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskFull {
    /// Whose.
    pub on: Target,
    /// How much room is left.
    #[serde(default)]
    pub left: Bytes,
}

/// Decay at rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BitRot {
    /// Whose disk.
    pub on: Target,
    /// In the log of which partition; of one that the node has a replica of, drawn from the fault stream, if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "partition_name::option")]
    pub partition: Option<TopicPartition>,
    /// How many bits flip.
    #[serde(default = "defaults::one")]
    pub bits: u32,
}

/// A write that goes astray.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Misdirect {
    /// Whose disk.
    pub on: Target,
    /// In the log of which partition; of one that the node has a replica of, drawn from the fault stream, if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "partition_name::option")]
    pub partition: Option<TopicPartition>,
}

/// Records that nobody can process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Poison {
    /// Who writes them.
    pub by: Target,
    /// What is wrong with them.
    pub kind: PoisonKind,
    /// Which record of the producer is the first, counted from 0; the next one if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// How many, one after the other.
    #[serde(default = "defaults::one")]
    pub count: u32,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoisonKind {
    /// It should be JSON and is not.
    MalformedJson,
    /// It is JSON, but a field holds what the handler does not take.
    HandlerError,
}

/// Clocks at a wrong rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClockDrift {
    /// Whose.
    pub on: Target,
    /// Parts per million that they run too fast, or too slow if negative.
    pub ppm: i32,
}

/// A wall clock that jumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClockStep {
    /// Whose.
    pub on: Target,
    /// How far; backward if negative.
    pub by: Shift,
}
