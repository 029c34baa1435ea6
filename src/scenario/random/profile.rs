//! The profiles as data: which kinds of faults, how often, how many.

/// A kind of fault that a profile can weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A broker loses power and comes back.
    PowerCut,
    /// A broker's process dies and comes back.
    Crash,
    /// A broker is stopped in an orderly way and comes back.
    Stop,
    /// A broker's process stands still.
    Pause,
    /// A broker is cut off from everybody.
    Isolate,
    /// Two brokers do not hear each other.
    Cut,
    /// A leader is cut off until its followers have left the ISR, and then loses power.
    LastReplica,
    /// A leader dies and its successor soon after it.
    DoubleFailover,
    /// The active controller is lost, and in the election one of the voters loses power.
    ElectionStorm,
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
        doc: "cuts of every shape",
        faults: (8, 20),
        kinds: &[(Kind::Isolate, 3), (Kind::Cut, 4)],
    },
    Profile {
        name: "disk",
        doc: "power cuts and whatever else disks suffer",
        faults: (8, 16),
        kinds: &[(Kind::PowerCut, 6), (Kind::LastReplica, 2), (Kind::Crash, 1)],
    },
    Profile {
        name: "clock",
        doc: "processes that stand still",
        faults: (8, 16),
        kinds: &[(Kind::Pause, 5), (Kind::Crash, 1)],
    },
    Profile {
        name: "control-plane",
        doc: "controllers and elections of the metadata quorum",
        faults: (8, 20),
        kinds: &[(Kind::ElectionStorm, 5), (Kind::Pause, 1), (Kind::Isolate, 1), (Kind::Stop, 1)],
    },
    Profile {
        name: "replication",
        doc: "leaders, followers and the ISR",
        faults: (8, 20),
        kinds: &[
            (Kind::DoubleFailover, 3),
            (Kind::LastReplica, 2),
            (Kind::PowerCut, 2),
            (Kind::Crash, 2),
            (Kind::Cut, 2),
            (Kind::Stop, 1),
        ],
    },
    Profile {
        name: "everything",
        doc: "all of it",
        faults: (9, 24),
        kinds: &[
            (Kind::PowerCut, 4),
            (Kind::Crash, 3),
            (Kind::Stop, 1),
            (Kind::Pause, 2),
            (Kind::Isolate, 2),
            (Kind::Cut, 2),
            (Kind::LastReplica, 2),
            (Kind::DoubleFailover, 2),
            (Kind::ElectionStorm, 2),
        ],
    },
];
