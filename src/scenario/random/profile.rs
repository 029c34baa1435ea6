//! The profiles as data: which kinds of faults, how often, how many.

/// A kind of plot that a profile can weigh; most are one fault, some are several that hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A broker loses power and comes back.
    PowerCut,
    /// A broker's process dies and comes back.
    Crash,
    /// A broker goes down and comes back before anybody's timeout has run out.
    Bounce,
    /// A broker is stopped in an orderly way and comes back.
    Stop,
    /// A process or a whole machine stands still.
    Pause,
    /// A client stands still, dies or is cut off.
    Client,
    /// A leader is cut off until its followers have left the ISR, and then loses power.
    LastReplica,
    /// A leader dies and its successor soon after it.
    DoubleFailover,
    /// Leaders of a partition die one after another, while one of its replicas is late and another cut off or behind.
    FastFailovers,
    /// The active controller is lost, and in the election one of the voters loses power.
    ElectionStorm,
    /// All replicas of a partition are stopped one after another and come back in another order.
    RollingStop,
    /// A replica is cut off while the others acknowledge and then go down.
    LeftBehind,
    /// A replica loses power just when it has caught up, while the news of that is on its way.
    StaleJoin,
    /// Something that waits for an election, a change of an ISR, a fencing or a truncation.
    Milestone,
    /// A node is cut off from everybody.
    Isolate,
    /// Two brokers do not hear each other, or one does not hear the other.
    Cut,
    /// A link, or a whole node, comes and goes.
    Flap,
    /// The network parts, perhaps with one broker that reaches both sides.
    Partition,
    /// A link is slow, loses segments, or holds everything back.
    Slow,
    /// Connections are reset.
    Reset,
    /// Requests arrive after their own retries.
    DelayRequest,
    /// A disk is slow, or stalls.
    DiskStall,
    /// A disk fails operations, or is full.
    DiskFailure,
    /// Clocks drift, or jump.
    Clock,
    /// A member of a consumer group stands still, dies, leaves, hears nothing, or its requests come late.
    Member,
    /// The members of a consumer group leave and join, several at a time.
    Storm,
    /// The coordinator of a consumer group is lost, perhaps in the middle of a rebalance.
    Coordinator,
    /// An administrator changes topics, leaders, replicas or configuration.
    Operation,
}

impl Kind {
    /// True if it happens to consumer groups alone.
    #[must_use]
    pub fn needs_groups(self) -> bool {
        matches!(self, Self::Member | Self::Storm | Self::Coordinator)
    }
}

/// A named mix of faults.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What a person types.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// How many faults a minute, least and most.
    pub faults: (u64, u64),
    /// The kinds and their weights.
    pub kinds: &'static [(Kind, u64)],
}

/// Every profile.
pub const PROFILES: &[Profile] = &[
    Profile { name: "calm", doc: "no faults at all: what the workload alone finds", faults: (0, 0), kinds: &[] },
    Profile {
        name: "network",
        doc: "cuts of every shape, slow and lossy links, late requests",
        faults: (8, 20),
        kinds: &[
            (Kind::Isolate, 3),
            (Kind::Cut, 4),
            (Kind::Flap, 2),
            (Kind::Partition, 2),
            (Kind::Slow, 3),
            (Kind::Reset, 1),
            (Kind::DelayRequest, 2),
        ],
    },
    Profile {
        name: "disk",
        doc: "power cuts, disks that fail, fill up, stall",
        faults: (8, 16),
        kinds: &[
            (Kind::PowerCut, 4),
            (Kind::LastReplica, 2),
            (Kind::Crash, 1),
            (Kind::DiskStall, 3),
            (Kind::DiskFailure, 3),
        ],
    },
    Profile {
        name: "clock",
        doc: "clocks that drift or jump, processes and machines that stand still",
        faults: (8, 16),
        kinds: &[(Kind::Pause, 4), (Kind::Clock, 4), (Kind::Crash, 1)],
    },
    Profile {
        name: "control-plane",
        doc: "controllers and elections of the metadata quorum",
        faults: (8, 20),
        kinds: &[
            (Kind::ElectionStorm, 5),
            (Kind::Flap, 2),
            (Kind::Bounce, 1),
            (Kind::Pause, 1),
            (Kind::Isolate, 1),
            (Kind::Stop, 1),
            (Kind::DelayRequest, 1),
            (Kind::Milestone, 1),
        ],
    },
    Profile {
        name: "replication",
        doc: "leaders, followers and the ISR",
        faults: (8, 18),
        kinds: &[
            (Kind::DoubleFailover, 3),
            (Kind::FastFailovers, 3),
            (Kind::LastReplica, 2),
            (Kind::RollingStop, 2),
            (Kind::LeftBehind, 2),
            (Kind::StaleJoin, 2),
            (Kind::Milestone, 2),
            (Kind::PowerCut, 2),
            (Kind::Crash, 2),
            (Kind::Bounce, 1),
            (Kind::Cut, 2),
            (Kind::Slow, 1),
        ],
    },
    Profile {
        name: "groups",
        doc: "consumer groups: their members, their coordinators, and the brokers below them",
        faults: (8, 20),
        kinds: &[
            (Kind::Member, 6),
            (Kind::Storm, 2),
            (Kind::Coordinator, 4),
            (Kind::PowerCut, 1),
            (Kind::Crash, 1),
            (Kind::Stop, 1),
            (Kind::Isolate, 1),
            (Kind::Clock, 1),
            (Kind::Operation, 1),
        ],
    },
    Profile {
        name: "everything",
        doc: "all of it",
        faults: (9, 20),
        kinds: &[
            (Kind::PowerCut, 3),
            (Kind::Crash, 2),
            (Kind::Bounce, 1),
            (Kind::Stop, 1),
            (Kind::Pause, 2),
            (Kind::Client, 1),
            (Kind::LastReplica, 2),
            (Kind::DoubleFailover, 1),
            (Kind::FastFailovers, 3),
            (Kind::ElectionStorm, 2),
            (Kind::RollingStop, 2),
            (Kind::LeftBehind, 1),
            (Kind::StaleJoin, 2),
            (Kind::Milestone, 1),
            (Kind::Isolate, 2),
            (Kind::Cut, 2),
            (Kind::Flap, 1),
            (Kind::Partition, 1),
            (Kind::Slow, 1),
            (Kind::Reset, 1),
            (Kind::DelayRequest, 1),
            (Kind::DiskStall, 1),
            (Kind::DiskFailure, 2),
            (Kind::Clock, 1),
            (Kind::Member, 6),
            (Kind::Storm, 1),
            (Kind::Coordinator, 3),
            (Kind::Operation, 4),
        ],
    },
];
