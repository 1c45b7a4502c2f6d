//! What is asked for on one socket: few requests with many arguments, one acknowledgement for each argument.
//!
//! An error names its argument only in its text. The argument it names is refused and not asked for again on this
//! socket; where it names none, the arguments without acknowledgement are asked for again, a few times.

use std::collections::{BTreeSet, VecDeque};

use marketprism_core::Timestamp;
use serde::Serialize;

use super::channel::{Arg, Channel};
use super::frame::Event;
use super::operations::Operations;
use crate::context::SECOND;
use crate::session::{Effects, Link, Lost, Note, Rejected};

/// Arguments in one request: the exchange takes 64 KB of them, and the longest has about 150 bytes.
const ARGS_PER_REQUEST_MAX: usize = 300;
/// Acknowledgements take a round trip; those missing for this long are asked for again.
const ACK_MICROS_MAX: i64 = 10 * SECOND;
/// Attempts at an argument that nothing is said about before the socket is replaced.
const ATTEMPTS_MAX: u32 = 3;
/// Unknown channel or instrument.
const CODE_UNKNOWN: &str = "60018";
/// Internal errors and "too frequent": what was asked for is left in flight and asked for again later.
const CODES_TRANSIENT: [&str; 3] = ["60014", "63999", "64007"];

/// The streams of one socket.
#[derive(Debug)]
pub(super) struct Subscriptions {
    link: Link,
    operations: Operations,
    /// Bounded: each stream of the session is in at most one request of each kind.
    waiting: VecDeque<Call>,
    /// Streams to be asked for anew, for a snapshot or because they are silent.
    again: BTreeSet<Arg>,
    in_flight: Vec<InFlight>,
    acknowledged: BTreeSet<Arg>,
    refused: BTreeSet<Arg>,
    next_id: u64,
}

#[derive(Debug)]
struct Call {
    operation: Operation,
    args: Vec<Arg>,
    attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Subscribe,
    Unsubscribe,
}

#[derive(Debug)]
struct InFlight {
    id: u64,
    sent: Timestamp,
    args: Vec<Arg>,
    attempts: u32,
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    op: Operation,
    args: &'a [Arg],
}

impl Subscriptions {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            operations: Operations::default(),
            waiting: VecDeque::new(),
            again: BTreeSet::new(),
            in_flight: Vec::new(),
            acknowledged: BTreeSet::new(),
            refused: BTreeSet::new(),
            next_id: 0,
        }
    }

    pub(super) fn subscribe(&mut self, args: &[Arg]) {
        self.call(Operation::Subscribe, args, 0);
    }

    pub(super) fn unsubscribe(&mut self, args: &[Arg]) {
        for call in &mut self.waiting {
            call.args.retain(|arg| !args.contains(arg));
        }
        self.waiting.retain(|call| !call.args.is_empty());
        for arg in args {
            self.take_in_flight(arg);
            self.again.remove(arg);
            self.acknowledged.remove(arg);
            self.refused.remove(arg);
        }
        self.call(Operation::Unsubscribe, args, 0);
    }

    /// Unsubscribes and subscribes again; nothing for a stream that was refused.
    pub(super) fn resubscribe(&mut self, arg: Arg) {
        if !self.refused.contains(&arg) {
            self.again.insert(arg);
        }
    }

    pub(super) fn is_acknowledged(&self, arg: &Arg) -> bool {
        self.acknowledged.contains(arg)
    }

    /// Whether every stream that was asked for is acknowledged or refused.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty()
            && self.again.is_empty()
            && self.in_flight.iter().all(|request| request.args.is_empty())
    }

    fn call(&mut self, operation: Operation, args: &[Arg], attempts: u32) {
        let calls = args.chunks(ARGS_PER_REQUEST_MAX);
        self.waiting.extend(calls.map(|args| Call { operation, args: args.to_vec(), attempts }));
    }

    /// Sends what may be sent, and asks again for what was not acknowledged.
    ///
    /// # Errors
    /// When the socket is to be replaced: it does not answer.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) -> Result<(), Lost> {
        let overdue = self.in_flight.extract_if(.., |request| {
            let is_overdue = now.micros_since(request.sent) > ACK_MICROS_MAX;
            is_overdue || request.args.is_empty()
        });
        let overdue: Vec<_> = overdue.filter(|request| !request.args.is_empty()).collect();
        let answered = overdue.iter().map(|request| self.unacknowledged(request)).fold(Ok(()), Result::and);
        if self.waiting.is_empty() && !self.again.is_empty() {
            let args: Vec<Arg> = std::mem::take(&mut self.again).into_iter().collect();
            self.call(Operation::Unsubscribe, &args, 0);
            self.call(Operation::Subscribe, &args, 0);
        }
        if !self.waiting.is_empty() && self.operations.spend(now) {
            self.send(now, out);
        }
        answered
    }

    fn unacknowledged(&mut self, request: &InFlight) -> Result<(), Lost> {
        if request.attempts < ATTEMPTS_MAX {
            self.call(Operation::Subscribe, &request.args, request.attempts);
            return Ok(());
        }
        let names = names(&request.args);
        Err(Lost::Refused(format!("no acknowledgement of {names}")))
    }

    fn send(&mut self, now: Timestamp, out: &mut dyn Effects) {
        let Some(Call { operation, args, attempts }) = self.waiting.pop_front() else { return };
        self.next_id += 1;
        let request = Request { id: &self.next_id.to_string(), op: operation, args: &args };
        // Strings always serialise.
        if let Ok(text) = serde_json::to_string(&request) {
            out.send(self.link, text);
        }
        if operation == Operation::Subscribe {
            self.in_flight.push(InFlight { id: self.next_id, sent: now, args, attempts: attempts + 1 });
        }
    }

    /// The exchange acknowledged a stream; gives it back when it was asked for.
    pub(super) fn acknowledge(
        &mut self,
        channel: &str,
        name: &str,
        out: &mut dyn Effects,
    ) -> Option<(Channel, String)> {
        let arg = Arg { channel: Channel::named(channel)?, name: name.to_owned() };
        if !self.take_in_flight(&arg) {
            out.note(Note::Ignored { what: "answer" });
            return None;
        }
        out.note(Note::Subscribed { streams: 1 });
        self.acknowledged.insert(arg.clone());
        Some((arg.channel, arg.name))
    }

    /// The exchange refused something: says what.
    pub(super) fn refuse(&mut self, event: &Event<'_>) -> Rejected {
        let Event { code, message, .. } = event;
        let reason = if code == CODE_UNKNOWN { "unknown_symbol" } else { "unexpected" };
        let named = named_in(message).and_then(|(channel, name)| {
            let arg = Arg { channel: Channel::named(channel)?, name: name.to_owned() };
            self.take_in_flight(&arg).then_some(arg)
        });
        if let Some(arg) = named {
            let rejected = Rejected::new(reason, format_args!("{arg} refused, code {code}: {message}"));
            self.refused.insert(arg);
            return rejected;
        }
        if CODES_TRANSIENT.contains(&code.as_ref()) {
            return Rejected::new(reason, format_args!("code {code}: {message}"));
        }
        // It names none: those of its request without acknowledgement are asked for again, then given up.
        let id = event.id.as_deref().and_then(|id| id.parse::<u64>().ok());
        let at = self.in_flight.iter().position(|request| id.is_none_or(|id| request.id == id));
        let Some(request) = at.map(|at| self.in_flight.remove(at)) else {
            return Rejected::new("unexpected", format_args!("code {code}: {message}"));
        };
        let names = names(&request.args);
        if request.attempts < ATTEMPTS_MAX {
            self.call(Operation::Subscribe, &request.args, request.attempts);
        } else {
            self.refused.extend(request.args);
        }
        Rejected::new(reason, format_args!("request refused, code {code}: {message}; it asked for {names}"))
    }

    /// Whether an argument was in flight; then it no longer is.
    fn take_in_flight(&mut self, arg: &Arg) -> bool {
        self.in_flight.iter_mut().any(|request| {
            let at = request.args.iter().position(|asked| asked == arg);
            at.map(|at| request.args.swap_remove(at)).is_some()
        })
    }
}

/// The start of a list of streams, for people.
fn names(args: &[Arg]) -> String {
    let names: Vec<_> = args.iter().map(ToString::to_string).collect();
    Rejected::start_of(&names.join(", "))
}

/// Channel and name in `… channel:books,instId:NOPE-USDT doesn't exist.`
fn named_in(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("channel:")?;
    let (channel, rest) = rest.split_once(',')?;
    let (_, rest) = rest.split_once(':')?;
    Some((channel.trim(), rest.split([' ', ',', '"']).next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_stream_is_found_in_the_text() {
        let text = "Subscribe failed, wrong URL or channel:trades,instId:NADA-USDT doesn't exist.";
        assert_eq!(named_in(text), Some(("trades", "NADA-USDT")));
        let text = "wrong URL or channel:liquidation-orders,instType:SWOP doesn't exist.";
        assert_eq!(named_in(text), Some(("liquidation-orders", "SWOP")));
        assert_eq!(named_in("Invalid request: {\"op\": \"subscribe\"}"), None);
    }
}
