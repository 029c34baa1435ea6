//! The quorum core under test: hand-made stories, and generated schedules in a world of its own (`world`) whose
//! judge (`judge`) knows only what leaves the cores and what stands on the disks (`disk`).

mod disk;
mod judge;
mod properties;
mod stories;
mod world;
