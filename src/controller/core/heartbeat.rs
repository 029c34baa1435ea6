//! Broker heartbeats and the states that they move a broker through (Kafka's `BrokerHeartbeatManager`, KIP-841).
//!
//! | state | heartbeat | next |
//! |---|---|---|
//! | fenced | wants to shut down | go |
//! | | wants to be unfenced and has applied its own registration | unfenced |
//! | unfenced | wants to be fenced and to shut down | go |
//! | | wants to be fenced | fenced |
//! | | wants to shut down, leads nothing | go |
//! | | wants to shut down, leads | controlled shutdown |
//! | controlled shutdown | leads nothing, and all active brokers have applied what it left behind | go |

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use super::turn::Turn;
use crate::base::{BrokerEpoch, BrokerId, Offset};
use crate::controller::image::Broker;

/// Kafka's `BrokerControlState`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    /// Fenced, and free to go.
    ShutDownNow,
}

/// A broker speaks: its session goes on, and its state moves.
pub(super) fn heartbeat(
    turn: &mut Turn<'_>,
    request: &BrokerHeartbeatRequest,
) -> Result<BrokerHeartbeatResponse, ResponseError> {
    let (id, epoch) = (BrokerId(request.broker_id.0), BrokerEpoch(request.broker_epoch));
    turn.check_broker_epoch(id, epoch)?;
    let broker = turn.image().broker(id).cloned().expect("its epoch was checked");
    let applied = Offset(request.current_metadata_offset);
    let caught_up = applied >= broker.registered_at;
    let (current, next) = (current(&broker), next(turn, &broker, request, caught_up));
    if current != next {
        match next {
            State::Unfenced => turn.unfence(id, epoch),
            State::ControlledShutdown => turn.start_controlled_shutdown(id, epoch),
            State::Fenced => turn.fence(id),
            State::ShutDownNow if !broker.fenced => turn.fence(id),
            State::ShutDownNow => {}
        }
    }
    let last_written = turn.next_offset() - 1;
    let session = turn.sessions.touch(id, turn.now, applied);
    session.shutdown_offset = match next {
        State::ControlledShutdown => Some(session.shutdown_offset.unwrap_or(last_written)),
        _ => None,
    };
    Ok(BrokerHeartbeatResponse::default()
        .with_is_caught_up(caught_up)
        .with_is_fenced(matches!(next, State::Fenced | State::ShutDownNow))
        .with_should_shut_down(next == State::ShutDownNow))
}

fn current(broker: &Broker) -> State {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, _) => State::Fenced,
        (false, true) => State::ControlledShutdown,
        (false, false) => State::Unfenced,
    }
}

fn next(turn: &Turn<'_>, broker: &Broker, request: &BrokerHeartbeatRequest, caught_up: bool) -> State {
    match current(broker) {
        State::Fenced if request.want_shut_down => State::ShutDownNow,
        State::Fenced if !request.want_fence && caught_up => State::Unfenced,
        State::Fenced => State::Fenced,
        State::Unfenced => match (request.want_fence, request.want_shut_down) {
            (true, true) => State::ShutDownNow,
            (true, false) => State::Fenced,
            (false, true) if turn.has_leaderships(broker.id) => State::ControlledShutdown,
            (false, true) => State::ShutDownNow,
            (false, false) => State::Unfenced,
        },
        State::ControlledShutdown if turn.has_leaderships(broker.id) => State::ControlledShutdown,
        State::ControlledShutdown => {
            // A controller that took over knows no offset to wait for, as Kafka's.
            let wait_for = turn.sessions.shutdown_offset(broker.id);
            let lowest = turn.sessions.lowest_active_offset(turn.image());
            match (wait_for, lowest) {
                (Some(offset), Some(lowest)) if lowest < offset => State::ControlledShutdown,
                _ => State::ShutDownNow,
            }
        }
        State::ShutDownNow => State::ShutDownNow,
    }
}
