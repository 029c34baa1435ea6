//! The protocol's bytes: frames, headers, API versions, RPC connections, metadata records and error codes.
//!
//! RPC messages are `kafka-protocol`'s own types. What this room adds is what stands between them and a socket: framing
//! ([`frame`]), headers and a guard against hostile claims ([`codec`]), what each listener supports ([`api`]), a client's
//! end of a connection ([`conn`]), the classes of errors ([`errors`]) and the records of the metadata log ([`records`]).
//! No protocol logic lives here: nothing in this room knows what a request means.

pub mod api;
pub mod codec;
pub mod conn;
pub mod errors;
pub mod frame;
pub mod records;
