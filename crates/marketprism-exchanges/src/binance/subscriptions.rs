//! Subscribing on one connection: what is wanted and what the exchange acknowledged are two sets, and paced frames bring
//! the second to the first. A frame that is refused or not acknowledged is tried again.

use std::collections::{BTreeMap, VecDeque};

use marketprism_core::Timestamp;
use serde::Serialize;

use super::frame::Answer;
use crate::context::SECOND;
use crate::session::{Effects, Link, Lost, Note, Rejected};

/// Streams in one SUBSCRIBE; the exchange takes 1024 a connection, and a frame stays below 8 KiB.
pub(super) const STREAMS_PER_FRAME_MAX: usize = 200;
/// Three frames a second. Spot closes a connection that sends more than five, pongs included.
pub(super) const FRAME_MICROS_MIN: i64 = SECOND / 3 + 1;
/// An acknowledgement takes a round trip; without one for this long the frame is sent again.
const ACK_MICROS_MAX: i64 = 10 * SECOND;
/// Attempts at one stream before the connection is replaced.
const ATTEMPTS_MAX: u32 = 3;

/// What is asked of the exchange on one connection.
#[derive(Debug)]
pub(super) struct Subscriptions {
    link: Link,
    /// Bounded: the streams wanted on the connection, and those being left.
    streams: BTreeMap<String, Stream>,
    /// Requests without an answer yet.
    in_flight: VecDeque<(u64, Timestamp)>,
    next_id: u64,
    sent: Option<Timestamp>,
    /// Why streams were given up.
    refused: Option<Lost>,
}

#[derive(Debug, Default)]
struct Stream {
    is_wanted: bool,
    /// As far as the exchange acknowledged it.
    is_subscribed: bool,
    /// The request about it that has no answer yet, and what it asks for.
    asked: Option<(u64, Method)>,
    attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    #[serde(rename = "LIST_SUBSCRIPTIONS")]
    ListSubscriptions,
}

impl Stream {
    /// What to ask for now.
    fn due(&self) -> Option<Method> {
        let may_be_asked = self.asked.is_none() && self.attempts < ATTEMPTS_MAX;
        match (self.is_wanted, self.is_subscribed) {
            (true, false) if may_be_asked => Some(Method::Subscribe),
            (false, true) if may_be_asked => Some(Method::Unsubscribe),
            _ => None,
        }
    }

    fn is_asked_by(&self, id: u64) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == id)
    }
}

#[derive(Serialize)]
struct Call<'a> {
    method: Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a [String]>,
    id: u64,
}

impl Subscriptions {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            streams: BTreeMap::new(),
            in_flight: VecDeque::new(),
            next_id: 0,
            sent: None,
            refused: None,
        }
    }

    /// Subscribes, also what was subscribed before.
    pub(super) fn ask(&mut self, name: String) {
        let stream = self.streams.entry(name).or_default();
        stream.is_wanted = true;
        stream.is_subscribed = false;
        stream.attempts = 0;
    }

    /// Unsubscribes.
    pub(super) fn leave(&mut self, name: &str) {
        if let Some(stream) = self.streams.get_mut(name) {
            stream.is_wanted = false;
        }
        self.forget_left();
    }

    fn forget_left(&mut self) {
        self.streams.retain(|_, stream| stream.is_wanted || stream.is_subscribed || stream.asked.is_some());
    }

    /// Whether events of this stream are still to be expected although nobody wants them.
    pub(super) fn is_left(&self, name: &str) -> bool {
        self.streams.get(name).is_some_and(|stream| !stream.is_wanted)
    }

    /// Whether the exchange acknowledged it.
    pub(super) fn is_subscribed(&self, name: &str) -> bool {
        self.streams.get(name).is_some_and(|stream| stream.is_subscribed)
    }

    /// Whether every stream that is wanted is acknowledged.
    pub(super) fn is_complete(&self) -> bool {
        self.streams.values().all(|stream| stream.is_subscribed || !stream.is_wanted)
    }

    /// Sends what may be sent, and again what was not acknowledged.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        while let Some((id, sent)) = self.in_flight.front().copied()
            && now.micros_since(sent) > ACK_MICROS_MAX
        {
            self.in_flight.pop_front();
            self.again(id, "no acknowledgement");
        }
        if self.sent.is_some_and(|sent| now.micros_since(sent) < FRAME_MICROS_MIN) {
            return;
        }
        // Leaving comes first: it makes room among the streams a connection may have.
        if !self.send(Method::Unsubscribe, now, out) {
            self.send(Method::Subscribe, now, out);
        }
    }

    /// Sends one frame about the streams that are due. False where none is.
    fn send(&mut self, method: Method, now: Timestamp, out: &mut dyn Effects) -> bool {
        let due = self.streams.iter_mut().filter(|(_, stream)| stream.due() == Some(method));
        let id = self.next_id + 1;
        let names: Vec<String> = due
            .take(STREAMS_PER_FRAME_MAX)
            .map(|(name, stream)| {
                stream.asked = Some((id, method));
                stream.attempts += 1;
                name.clone()
            })
            .collect();
        if names.is_empty() {
            return false;
        }
        self.call(method, Some(&names), now, out);
        self.in_flight.push_back((id, now));
        true
    }

    /// Asks for a sign of life.
    pub(super) fn probe(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.call(Method::ListSubscriptions, None, now, out);
    }

    fn call(&mut self, method: Method, params: Option<&[String]>, now: Timestamp, out: &mut dyn Effects) {
        self.next_id += 1;
        // Strings and numbers always serialise.
        if let Ok(text) = serde_json::to_string(&Call { method, params, id: self.next_id }) {
            out.send(self.link, text);
        }
        self.sent = Some(now);
    }

    /// Matches an answer with what was asked.
    pub(super) fn answered(&mut self, answer: Answer, out: &mut dyn Effects) -> Result<(), Rejected> {
        let at = match answer.id {
            Some(id) => self.in_flight.iter().position(|(sent, _)| *sent == id),
            // Spot's refusals carry no id; answers come in order.
            None => (!self.in_flight.is_empty()).then_some(0),
        };
        let request = at.and_then(|at| self.in_flight.remove(at)).map(|(id, _)| id);
        match (answer.refused, request) {
            (None, Some(id)) => {
                self.acknowledged(id, out);
                Ok(())
            }
            (None, None) => {
                out.note(Note::Ignored { what: "answer" });
                Ok(())
            }
            (Some(refusal), request) => {
                let why = format!("code {}: {}", refusal.code, refusal.msg);
                if let Some(id) = request {
                    self.again(id, &why);
                }
                Err(Rejected::new("unexpected", format_args!("request refused, {why}")))
            }
        }
    }

    fn acknowledged(&mut self, id: u64, out: &mut dyn Effects) {
        let mut streams = 0;
        for stream in self.streams.values_mut().filter(|stream| stream.is_asked_by(id)) {
            stream.is_subscribed = stream.asked.is_some_and(|(_, method)| method == Method::Subscribe);
            stream.asked = None;
            stream.attempts = 0;
            streams += usize::from(stream.is_subscribed);
        }
        self.forget_left();
        if streams > 0 {
            out.note(Note::Subscribed { streams });
        }
    }

    fn again(&mut self, id: u64, why: &str) {
        for (name, stream) in self.streams.iter_mut().filter(|(_, stream)| stream.is_asked_by(id)) {
            stream.asked = None;
            if stream.attempts >= ATTEMPTS_MAX && self.refused.is_none() {
                self.refused = Some(Lost::Refused(format!("subscription of {name} and others: {why}")));
            }
        }
    }

    /// Why the connection is to be replaced, if it is; said once.
    pub(super) fn take_refused(&mut self) -> Option<Lost> {
        self.refused.take()
    }
}
