//! One call on its way: sent to a broker, tried again, given up (Kafka's `KafkaAdminClient.Call`).

use super::{Admin, AdminError, Purpose};
use crate::base::{BrokerId, Now};
use crate::client::network::{Answer, Event};
use crate::io::clock;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::Request;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// One call on its way.
struct Call {
    number: u64,
    /// Who must be asked; anybody if none.
    target: Option<BrokerId>,
    sent: bool,
    attempts: u32,
    not_before_ns: u64,
    deadline_ns: u64,
    last: Option<ResponseError>,
}

/// What an answer means for a call: its result, or the error for which it is tried again.
pub(super) type Verdict<R> = Result<R, ResponseError>;

impl Admin {
    /// Sends `request` to some broker until `judge` has a result.
    pub(super) fn call<'a, Q: Request, R: 'a>(
        &'a mut self,
        request: &'a Q,
        judge: impl FnMut(Q::Response) -> Verdict<R> + 'a,
    ) -> impl Future<Output = Result<R, AdminError>> + 'a {
        self.call_on(None, request, judge)
    }

    /// As [`Self::call`]; only `target` is asked if there is one.
    pub(super) fn call_on<'a, Q: Request, R: 'a>(
        &'a mut self,
        target: Option<BrokerId>,
        request: &'a Q,
        mut judge: impl FnMut(Q::Response) -> Verdict<R> + 'a,
    ) -> impl Future<Output = Result<R, AdminError>> + 'a {
        self.calls += 1;
        let deadline_ns = clock::now().after_ms(self.cfg.default_api_timeout_ms);
        let mut call =
            Call { number: self.calls, target, sent: false, attempts: 0, not_before_ns: 0, deadline_ns, last: None };
        poll_fn(move |cx| {
            loop {
                let now = clock::now();
                let (result, next_ns) = self.turn(cx, now, &mut call, request, &mut judge);
                if let Some(result) = result {
                    return Poll::Ready(result);
                }
                if now.mono_ns >= call.deadline_ns {
                    return Poll::Ready(Err(AdminError::Timeout { last: call.last }));
                }
                self.timer.reset(next_ns.min(call.deadline_ns));
                if Pin::new(&mut self.timer).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
    }

    fn turn<Q: Request, R>(
        &mut self,
        cx: &mut Context<'_>,
        now: Now,
        call: &mut Call,
        request: &Q,
        judge: &mut impl FnMut(Q::Response) -> Verdict<R>,
    ) -> (Option<Result<R, AdminError>>, u64) {
        loop {
            self.network.poll(cx, now, &mut self.events);
            for event in std::mem::take(&mut self.events) {
                let judged = match self.take::<Q>(event, call, now) {
                    None => continue,
                    Some(Ok(response)) => judge(response),
                    Some(Err(error)) => Err(error),
                };
                match judged {
                    Ok(result) => return (Some(Ok(result)), now.mono_ns),
                    Err(error) if error.is_retriable() && call.attempts <= self.cfg.retries => {
                        tracing::debug!(?error, attempts = call.attempts, "admin call is tried again");
                        let pause = self.network.retry_backoff_ms(call.attempts.saturating_sub(1));
                        (call.sent, call.not_before_ns, call.last) = (false, now.after_ms(pause), Some(error));
                        self.metadata.request_update();
                    }
                    Err(error) => return (Some(Err(AdminError::Broker(error))), now.mono_ns),
                }
            }
            let next_ns = [
                self.network.refresh(&mut self.metadata, now, Purpose::Metadata),
                self.send(now, call, request),
                self.network.next_deadline_ns().unwrap_or(u64::MAX),
            ];
            if !self.network.take_dirty() {
                return (None, next_ns.into_iter().min().unwrap_or(u64::MAX));
            }
        }
    }
    /// What an event says about the call; [`None`] if it is about something else.
    fn take<Q: Request>(&mut self, event: Event<Purpose>, call: &Call, now: Now) -> Option<Verdict<Q::Response>> {
        match event {
            Event::Answer(answer) => match answer.context {
                Purpose::Metadata => {
                    self.take_metadata(answer, now);
                    None
                }
                Purpose::Call(number) if number == call.number => {
                    Some(answer.decode::<Q>().1.ok_or(ResponseError::UnknownServerError))
                }
                Purpose::Call(_) => None,
            },
            Event::Disconnected => {
                self.metadata.request_update();
                None
            }
            Event::Lost(lost) => match lost.context {
                Purpose::Metadata => {
                    self.network.refreshed(&mut self.metadata, now, None, &mut self.events);
                    None
                }
                Purpose::Call(number) => {
                    let error =
                        if lost.timed_out { ResponseError::RequestTimedOut } else { ResponseError::NetworkException };
                    (number == call.number).then_some(Err(error))
                }
            },
        }
    }
    fn take_metadata(&mut self, answer: Answer<Purpose>, now: Now) {
        let response = answer.decode::<MetadataRequest>().1;
        self.network.refreshed(&mut self.metadata, now, response.as_ref(), &mut self.events);
    }
    fn send<Q: Request>(&mut self, now: Now, call: &mut Call, request: &Q) -> u64 {
        if call.sent || self.metadata.brokers().is_empty() {
            return u64::MAX;
        }
        if call.not_before_ns > now.mono_ns {
            return call.not_before_ns;
        }
        let ready = match call.target {
            None => self.network.ready_least_loaded(self.metadata.brokers(), now),
            Some(id) if self.network.ready(id, now) => Ok(id),
            Some(_) => Err(now.after_ms(self.network.retry_backoff_ms(0))),
        };
        match ready {
            Err(retry_ns) => retry_ns,
            Ok(node) => {
                call.attempts += 1;
                call.sent = self.network.send(node, now, request, Purpose::Call(call.number)).is_ok();
                if !call.sent {
                    call.last = Some(ResponseError::UnsupportedVersion);
                    call.not_before_ns = now.after_ms(self.network.retry_backoff_ms(call.attempts - 1));
                    return call.not_before_ns;
                }
                u64::MAX
            }
        }
    }
}

/// The result of each thing that was asked for, by the error that stands at it; [`Err`] if the call is to be tried again.
/// Those that have succeeded by then answer differently the next time, so only errors that concern the whole request are
/// retried.
pub(super) fn each(codes: impl Iterator<Item = Option<i16>>) -> Verdict<Vec<Result<(), ResponseError>>> {
    let whole = |e: &ResponseError| {
        use ResponseError as E;
        matches!(e, E::NotController | E::RequestTimedOut | E::BrokerNotAvailable | E::NetworkException)
    };
    let results: Vec<Result<(), ResponseError>> = codes
        .map(|code| code.map_or(Some(ResponseError::UnknownServerError), ResponseError::try_from_code))
        .map(|error| error.map_or(Ok(()), Err))
        .collect();
    let all_failed = results.iter().all(|r| r.as_ref().is_err_and(whole));
    match results.first() {
        Some(Err(error)) if all_failed => Err(*error),
        _ => Ok(results),
    }
}

/// [`Err`] if an answer carries an error as a whole.
pub(super) fn whole(code: i16) -> Verdict<()> {
    ResponseError::try_from_code(code).map_or(Ok(()), Err)
}
