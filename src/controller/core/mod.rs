//! The active controller's decisions.
//!
//! ```text
//! ControllerCore::new(config: ControllerConfig, random: Stream)
//! core.step(now: Now, input: Input, out: &mut Vec<Output>);  core.next_deadline() -> Option<u64 /* mono_ns */>
//! enum Output { Propose { epoch, base: Offset, records: Vec<MetadataRecord> /* one atomic batch */ }, Reply { token, response } }
//! ```

pub mod types;

pub use types::{ControllerConfig, Input, Request, Response, Token};
