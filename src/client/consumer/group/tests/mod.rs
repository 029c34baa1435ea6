//! Memberships against the broker's own coordinator core, both pure: messages are slow, get lost with their connections, and
//! applications poll, work too long, crash and come back.

mod schedules;
mod stories;
mod world;
