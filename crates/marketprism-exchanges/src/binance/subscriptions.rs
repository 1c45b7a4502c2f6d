//! Subscribing: paced SUBSCRIBE frames, their acknowledgements matched by id, refusals tried again.

use std::collections::VecDeque;

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
/// Attempts at one batch before the connection is replaced.
const ATTEMPTS_MAX: u32 = 3;

/// What is asked of the exchange on one connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    link: Link,
    /// Bounded: the streams of the connection, each in at most one batch of the opening and one asked again.
    waiting: VecDeque<Batch>,
    in_flight: VecDeque<(u64, Timestamp, Batch)>,
    next_id: u64,
    sent: Option<Timestamp>,
}

#[derive(Debug)]
struct Batch {
    streams: Vec<String>,
    attempts: u32,
}

#[derive(Serialize)]
struct Call<'a> {
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a [String]>,
    id: u64,
}

impl Subscriptions {
    /// A new socket is open.
    pub(super) fn opened(&mut self, link: Link) {
        self.link = link;
        self.clear();
    }

    /// Forgets everything asked for: the socket is gone.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.in_flight.clear();
        self.sent = None;
    }

    pub(super) fn ask(&mut self, streams: &[String]) {
        let batches = streams.chunks(STREAMS_PER_FRAME_MAX);
        self.waiting.extend(batches.map(|batch| Batch { streams: batch.to_vec(), attempts: 0 }));
    }

    /// Sends what may be sent, and again what was not acknowledged.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        while let Some((_, sent, _)) = self.in_flight.front()
            && now.micros_since(*sent) > ACK_MICROS_MAX
        {
            if let Some((_, _, batch)) = self.in_flight.pop_front() {
                self.again(batch, "no acknowledgement", out);
            }
        }
        if self.may_send(now)
            && let Some(mut batch) = self.waiting.pop_front()
        {
            batch.attempts += 1;
            let id = self.call("SUBSCRIBE", Some(&batch.streams), now, out);
            self.in_flight.push_back((id, now, batch));
        }
    }

    /// Asks for a sign of life.
    pub(super) fn probe(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.call("LIST_SUBSCRIPTIONS", None, now, out);
    }

    fn may_send(&self, now: Timestamp) -> bool {
        self.sent.is_none_or(|sent| now.micros_since(sent) >= FRAME_MICROS_MIN)
    }

    fn call(
        &mut self,
        method: &'static str,
        params: Option<&[String]>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> u64 {
        self.next_id += 1;
        // Strings and numbers always serialise.
        if let Ok(text) = serde_json::to_string(&Call { method, params, id: self.next_id }) {
            out.send(self.link, text);
        }
        self.sent = Some(now);
        self.next_id
    }

    /// Matches an answer with what was asked.
    pub(super) fn answered(&mut self, answer: Answer, out: &mut dyn Effects) -> Result<(), Rejected> {
        let at = match answer.id {
            Some(id) => self.in_flight.iter().position(|(sent, _, _)| *sent == id),
            // Spot's refusals carry no id; answers come in order.
            None => (!self.in_flight.is_empty()).then_some(0),
        };
        let batch = at.and_then(|at| self.in_flight.remove(at)).map(|(_, _, batch)| batch);
        match (answer.refused, batch) {
            (None, Some(batch)) => {
                out.note(Note::Subscribed { streams: batch.streams.len() });
                Ok(())
            }
            (None, None) => {
                out.note(Note::Ignored { what: "answer" });
                Ok(())
            }
            (Some(refusal), batch) => {
                let why = format!("code {}: {}", refusal.code, refusal.msg);
                if let Some(batch) = batch {
                    self.again(batch, &why, out);
                }
                Err(Rejected::new("unexpected", format_args!("request refused, {why}")))
            }
        }
    }

    fn again(&mut self, batch: Batch, why: &str, out: &mut dyn Effects) {
        if batch.attempts < ATTEMPTS_MAX {
            self.waiting.push_back(batch);
            return;
        }
        let first = batch.streams.first().map_or("", String::as_str);
        let streams = batch.streams.len();
        out.reconnect(
            self.link,
            Lost::Refused(format!("SUBSCRIBE of {streams} streams from {first}: {why}")),
        );
    }
}
