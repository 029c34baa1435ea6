//! Bounds on what comes from a socket or a disk, so that no claim of a length is believed before it is checked.

/// Kafka's `socket.request.max.bytes`: the largest request frame that a broker accepts.
pub const SOCKET_REQUEST_MAX_BYTES: usize = 100 * 1024 * 1024;
