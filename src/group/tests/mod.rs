//! Stories of one group, and schedules of members that join, leave, fall silent and die, with coordinators that come and go.

pub(super) mod journal;
mod schedules;
mod stories;
mod world;
