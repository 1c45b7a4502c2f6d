//! Subscribing on one socket: paced calls, one at a time, each acknowledgement compared with what was asked.
//!
//! Deribit leaves out of its answer what it does not know, without an error. Subscribing a channel that is on brings no
//! snapshot, so a book is renewed by unsubscribing first; the call after waits for the answer to the one before.

use std::collections::{BTreeMap, BTreeSet};

use marketprism_core::Timestamp;

use super::frame::Answer;
use super::rpc::{self, Params, RpcError};
use crate::context::SECOND;
use crate::decode;
use crate::session::{Effects, Link, Lost, Note, Rejected};

/// Channels in one call, as the exchange advises.
pub(super) const CHANNELS_PER_CALL_MAX: usize = 500;
/// Subscribing costs 3,000 credits of 10,000 a second; who takes more is thrown out.
pub(super) const CALL_MICROS_MIN: i64 = SECOND * 3 / 10 + 50_000;
/// An acknowledgement takes a round trip; without one for this long the call is made again.
const ANSWER_MICROS_MAX: i64 = 10 * SECOND;
/// Calls that fail in a row before the socket is replaced.
const FAILURES_MAX: u32 = 3;
/// Channels named in the message about those the exchange does not know.
const NAMED_MAX: usize = 20;
/// Seconds between the exchange's heartbeats, which takes 10 and more; as long it waits for an answer to its question.
const HEARTBEAT_SECONDS: u64 = 15;

/// What is wanted of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    On,
    Off,
    /// Off, then on.
    Renewed,
}

/// What is asked of the exchange on one socket.
#[derive(Debug)]
pub(super) struct Subscriptions {
    link: Link,
    /// Bounded by the channels of the session.
    wishes: BTreeMap<String, Wish>,
    open: Option<Open>,
    /// Channels the exchange left out of its answer.
    refused: BTreeSet<String>,
    next_id: u64,
    /// When the next call may be made.
    due: Timestamp,
    failures: u32,
    /// Why this socket is of no use any more; then nothing more is sent.
    lost: Option<Lost>,
}

/// A call without an answer yet.
#[derive(Debug)]
struct Open {
    id: u64,
    sent: Timestamp,
    channels: Vec<(String, Wish)>,
}

impl Subscriptions {
    /// A new socket: asks for heartbeats.
    pub(super) fn new(link: Link, now: Timestamp, out: &mut dyn Effects) -> Self {
        let mut subscriptions = Self {
            link,
            wishes: BTreeMap::new(),
            open: None,
            refused: BTreeSet::new(),
            next_id: 0,
            due: now,
            failures: 0,
            lost: None,
        };
        let heartbeat = Params::Heartbeat { interval: HEARTBEAT_SECONDS };
        subscriptions.call("public/set_heartbeat", heartbeat, out);
        subscriptions
    }

    pub(super) fn subscribe(&mut self, channels: impl IntoIterator<Item = String>) {
        self.wishes.extend(channels.into_iter().map(|channel| (channel, Wish::On)));
    }

    pub(super) fn unsubscribe(&mut self, channels: impl IntoIterator<Item = String>) {
        for channel in channels {
            self.refused.remove(&channel);
            self.wishes.insert(channel, Wish::Off);
        }
    }

    /// Unsubscribes and subscribes again, for a new snapshot.
    pub(super) fn renew(&mut self, channel: String) {
        self.wishes.insert(channel, Wish::Renewed);
    }

    /// Whether the exchange does not know this channel.
    pub(super) fn is_refused(&self, channel: &str) -> bool {
        self.refused.contains(channel)
    }

    /// Whether every channel that was asked for is acknowledged or refused.
    pub(super) fn is_complete(&self) -> bool {
        self.wishes.is_empty() && self.open.is_none()
    }

    /// Why the socket is to be replaced.
    pub(super) const fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// Answers the exchange's question for a sign of life.
    pub(super) fn test(&mut self, out: &mut dyn Effects) {
        self.call("public/test", Params::None {}, out);
    }

    /// Makes the call that may be made, and again the one that was not answered.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        if self.open.as_ref().is_some_and(|open| now.micros_since(open.sent) > ANSWER_MICROS_MAX) {
            self.failed("no answer", now);
        }
        if self.open.is_some() || self.lost.is_some() || now < self.due {
            return;
        }
        let is_off = self.wishes.values().any(|wish| *wish != Wish::On);
        let chosen = self.wishes.extract_if(.., |_, wish| (*wish != Wish::On) == is_off);
        let channels: Vec<_> = chosen.take(CHANNELS_PER_CALL_MAX).collect();
        if channels.is_empty() {
            return;
        }
        let method = if is_off { "public/unsubscribe" } else { "public/subscribe" };
        let names: Vec<&str> = channels.iter().map(|(name, _)| name.as_str()).collect();
        let id = self.call(method, Params::Channels { channels: &names }, out);
        self.open = Some(Open { id, sent: now, channels });
        self.due = now.saturating_add_micros(CALL_MICROS_MIN);
    }

    fn call(&mut self, method: &str, params: Params<'_>, out: &mut dyn Effects) -> u64 {
        self.next_id += 1;
        out.send(self.link, rpc::call(self.next_id, method, params));
        self.next_id
    }

    /// Matches an answer with what was asked.
    pub(super) fn answered(
        &mut self,
        answer: Answer<'_>,
        now: Timestamp,
        out: &mut dyn Effects,
    ) -> Result<(), Rejected> {
        let is_open = self.open.as_ref().is_some_and(|open| answer.id == Some(open.id));
        match answer.outcome {
            Ok(result) if is_open => self.acknowledged(result, out),
            Ok(_) => {
                out.note(Note::Ignored { what: "answer" });
                Ok(())
            }
            Err(error) => {
                self.refused_call(is_open, &error, now);
                Err(Rejected::new("unexpected", format_args!("call refused, {error}")))
            }
        }
    }

    fn refused_call(&mut self, is_open: bool, error: &RpcError, now: Timestamp) {
        if error.ends_session() {
            self.lost = Some(Lost::Refused(error.to_string()));
        } else if is_open {
            self.failed(&error.to_string(), now);
        }
    }

    /// The open call was answered with the channels it was good for.
    fn acknowledged(&mut self, result: &str, out: &mut dyn Effects) -> Result<(), Rejected> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.failures = 0;
        let known: BTreeSet<String> = decode::from_str(result)?;
        let mut unknown = Vec::new();
        let mut streams = 0;
        for (channel, wish) in open.channels {
            match wish {
                Wish::Renewed => {
                    // Unless something else is wanted of it by now.
                    self.wishes.entry(channel).or_insert(Wish::On);
                }
                Wish::Off => {}
                Wish::On if known.contains(&channel) => {
                    self.refused.remove(&channel);
                    streams += 1;
                }
                Wish::On => {
                    unknown.push(channel.clone());
                    self.refused.insert(channel);
                }
            }
        }
        if streams > 0 {
            out.note(Note::Subscribed { streams });
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let named = unknown.get(..NAMED_MAX).unwrap_or(&unknown).join(", ");
        Err(Rejected::new("unknown_symbol", format_args!("{} not subscribed: {named}", unknown.len())))
    }

    /// The open call brought nothing: makes it again later, or gives the socket up.
    fn failed(&mut self, why: &str, now: Timestamp) {
        let Some(open) = self.open.take() else { return };
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            let first = open.channels.first().map_or("", |(channel, _)| channel);
            let count = open.channels.len();
            self.lost = Some(Lost::Refused(format!("{count} channels from {first}: {why}")));
        }
        self.due = now.saturating_add_micros(SECOND << self.failures.min(FAILURES_MAX));
        for (channel, wish) in open.channels {
            self.wishes.entry(channel).or_insert(wish);
        }
    }
}
