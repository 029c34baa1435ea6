//! What the controller's mutex guards: the core, the committed image, and who waits for an answer.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::node::MetadataLog;
use crate::base::{LeaderEpoch, Now, Offset};
use crate::broker::probe::{Event, Probe};
use crate::controller::image::{Changes, Image, ReplayError};
use crate::controller::{ControllerCore, Input, Output, Request, Response, Token};
use crate::wire::records::MetadataRecord;

/// The guarded part of a [`ControllerNode`](super::ControllerNode).
pub(super) struct State {
    core: ControllerCore,
    /// Everything that is committed.
    image: Image,
    waiting: BTreeMap<Token, oneshot::Sender<Response>>,
    next_token: u64,
    /// The activity that the probe was told of.
    told: Option<LeaderEpoch>,
    /// The deadline that the task's timer is set to.
    armed: Option<u64>,
    /// Empty between inputs; kept for its memory.
    out: Vec<Output>,
}

impl State {
    pub fn new(core: ControllerCore) -> Self {
        let image = Image::default();
        Self { core, image, waiting: BTreeMap::new(), next_token: 0, told: None, armed: None, out: Vec::new() }
    }
    pub fn image(&self) -> &Image {
        &self.image
    }
    pub fn epoch(&self) -> Option<LeaderEpoch> {
        self.core.epoch()
    }
    /// Tells the probe if the controller became active or ceased to be.
    pub fn tell_activity(&mut self, probe: &Probe) {
        let now = self.core.epoch();
        if now == self.told {
            return;
        }
        if self.told.is_some() {
            probe.tell(Event::ControllerInactive);
        }
        if let Some(epoch) = now {
            probe.tell(Event::ControllerActive { epoch });
        }
        self.told = now;
    }
    /// The deadline to set the timer to.
    pub fn arm(&mut self) -> Option<u64> {
        self.armed = self.core.next_deadline();
        self.armed
    }
    /// True if something is due before the timer would ring.
    pub fn must_rearm(&self) -> bool {
        match (self.core.next_deadline(), self.armed) {
            (Some(due), Some(armed)) => due < armed,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Asks the core; the answer comes through the channel.
    pub fn ask(&mut self, now: Now, request: Request, log: &dyn MetadataLog) -> oneshot::Receiver<Response> {
        let token = Token(self.next_token);
        self.next_token += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert(token, sender);
        self.drive(now, Input::Request { token, request }, log);
        receiver
    }

    /// Applies a committed batch and releases who waited for it.
    pub fn commit(
        &mut self,
        now: Now,
        records: &[(Offset, MetadataRecord)],
        next: Offset,
        log: &dyn MetadataLog,
    ) -> Result<(), ReplayError> {
        let mut changes = Changes::default();
        for (offset, record) in records {
            self.image.apply(*offset, record, &mut changes)?;
        }
        self.image.advance(next);
        self.drive(now, Input::Committed { upto: next }, log);
        Ok(())
    }

    /// A snapshot took the place of everything that was committed before its end.
    pub fn load(&mut self, now: Now, image: Image, log: &dyn MetadataLog) {
        let next = image.next();
        self.image = image;
        self.drive(now, Input::Committed { upto: next }, log);
    }

    /// This node leads `epoch`; its first proposal gets offset `next`.
    pub fn lead(&mut self, now: Now, epoch: LeaderEpoch, next: Offset, log: &dyn MetadataLog) {
        let mut image = self.image.clone();
        image.advance(next);
        self.drive(now, Input::BecameActive { epoch, image }, log);
    }

    /// Runs the core and does what it wants done.
    pub fn drive(&mut self, now: Now, input: Input, log: &dyn MetadataLog) {
        let mut out = std::mem::take(&mut self.out);
        self.core.step(now, input, &mut out);
        let mut refused = false;
        for output in out.drain(..) {
            match output {
                // What follows a refused proposal rests on it.
                Output::Propose { .. } if refused => {}
                Output::Propose { epoch, base, records } => refused = !propose(log, epoch, base, &records),
                Output::Reply { token, response } => self.reply(token, response),
            }
        }
        self.out = out;
        if refused {
            self.drive(now, Input::Resigned, log);
        }
    }

    fn reply(&mut self, token: Token, response: Response) {
        let sender = self.waiting.remove(&token).expect("a request is answered once");
        if sender.send(response).is_err() {
            tracing::debug!(?token, "whoever asked no longer waits");
        }
    }
}

/// True if the records are now where the core believes them to be.
fn propose(log: &dyn MetadataLog, epoch: LeaderEpoch, base: Offset, records: &[MetadataRecord]) -> bool {
    match log.propose(epoch, records) {
        Ok(last) if last == base + (records.len() as i64 - 1) => true,
        Ok(last) => {
            tracing::error!(%epoch, %base, %last, "the metadata log grew behind the controller's back; resigning");
            log.resign(epoch);
            false
        }
        Err(refused) => {
            tracing::info!(%refused, "a proposal came too late");
            false
        }
    }
}
