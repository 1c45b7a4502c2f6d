//! One recorded connection: drives its session as the collector did, with the recording's clock.

use marketprism_core::{Instrument, Timestamp};
use marketprism_exchanges::{FetchFailed, Frame, LINKS_MAX, Link, Rejected, Session};
use marketprism_recording::Payload;

use crate::answers::{Answers, Outcome, Unanswered};
use crate::output::Output;

/// How often the session's clock ticks, as its contract asks for.
const TICK_MICROS: i64 = 100_000;
/// Between two records there are so many ticks at most, an hour of them: files of different days may be played together.
const TICKS_MAX: i64 = 36_000;

/// A session and its recorded world.
pub(crate) struct Player {
    session: Box<dyn Session>,
    answers: Answers,
    /// Sockets as recorded (lane and number), and as the session knows them.
    links: Vec<((usize, u64), Link)>,
    next_link: u64,
    ticked: Option<Timestamp>,
}

impl Player {
    pub(crate) fn new(session: Box<dyn Session>, unanswered: Unanswered) -> Self {
        let answers = Answers::new(unanswered);
        Self { session, answers, links: Vec::new(), next_link: 0, ticked: None }
    }

    /// The session's clock ticks.
    pub(crate) fn tick(&mut self, now: Timestamp, out: &mut Output<'_>) {
        out.now = now;
        self.session.tick(now, out);
        self.fetch(now, out);
    }

    /// The session's instruments are these from now on.
    pub(crate) fn set_instruments(
        &mut self,
        instruments: Vec<Instrument>,
        now: Timestamp,
        out: &mut Output<'_>,
    ) {
        self.session.set_instruments(instruments, now, out);
        self.fetch(now, out);
    }

    /// Lets time pass up to `now`.
    pub(crate) fn advance(&mut self, now: Timestamp, out: &mut Output<'_>) {
        let since = self.ticked.unwrap_or(now);
        let ticks = (now.micros_since(since) / TICK_MICROS).min(TICKS_MAX);
        for number in 1..=ticks {
            self.tick(since.saturating_add_micros(number * TICK_MICROS), out);
        }
        // A clock that was set back, or a pause that was cut short: ticks go on from here.
        let is_off = now < since || ticks == TICKS_MAX;
        let ticked = since.saturating_add_micros(ticks * TICK_MICROS);
        self.ticked = Some(if is_off { now } else { ticked });
        out.now = now;
    }

    pub(crate) fn is_open(&self, recorded: (usize, u64)) -> bool {
        self.links.iter().any(|(name, _)| *name == recorded)
    }

    /// A socket is open.
    pub(crate) fn opened(&mut self, recorded: (usize, u64), now: Timestamp, out: &mut Output<'_>) {
        if self.links.len() >= LINKS_MAX {
            // Never so in a recording of ours; the oldest makes room.
            let oldest = self.links.first().map(|(recorded, _)| *recorded);
            oldest.into_iter().for_each(|oldest| self.closed(oldest, now, out));
        }
        let link = Link(self.next_link);
        self.next_link += 1;
        self.links.push((recorded, link));
        self.session.opened(link, now, out);
        self.fetch(now, out);
    }

    /// A socket is gone.
    pub(crate) fn closed(&mut self, recorded: (usize, u64), now: Timestamp, out: &mut Output<'_>) {
        if let Some(at) = self.links.iter().position(|(name, _)| *name == recorded) {
            let (_, link) = self.links.remove(at);
            self.session.closed(link, now, out);
            self.fetch(now, out);
        }
    }

    /// A frame came.
    pub(crate) fn frame(
        &mut self,
        recorded: (usize, u64),
        payload: &Payload,
        now: Timestamp,
        out: &mut Output<'_>,
    ) {
        let link = self.links.iter().find(|(name, _)| *name == recorded).map(|(_, link)| *link);
        let Some(link) = link else {
            let unexpected = Rejected { reason: "unexpected", detail: "frame of a closed socket".to_owned() };
            return out.reject(Err(unexpected));
        };
        let frame = match payload {
            Payload::Text(text) => Frame::Text(text),
            Payload::Binary(bytes) => Frame::Binary(bytes),
        };
        out.summary.frames += 1;
        let outcome = self.session.frame(link, frame, now, out);
        out.reject(outcome);
        self.fetch(now, out);
    }

    /// A REST answer came.
    pub(crate) fn answer(&mut self, path: String, outcome: Outcome, now: Timestamp, out: &mut Output<'_>) {
        if let Some((id, outcome)) = self.answers.answer(path, outcome) {
            let answered = self.session.fetched(id, as_slice(&outcome), now, out);
            out.reject(answered);
            self.fetch(now, out);
        }
    }

    /// The recording ends: what is pending is published, what is missing declared.
    pub(crate) fn end(mut self, now: Timestamp, out: &mut Output<'_>) {
        while let Some((recorded, _)) = self.links.first().copied() {
            self.closed(recorded, now, out);
        }
        self.session.drain(now, out);
        out.summary.unanswered += self.answers.unanswered() as u64;
    }

    /// Answers what was asked for, as far as the recording has it; an answer may lead to the next request.
    fn fetch(&mut self, now: Timestamp, out: &mut Output<'_>) {
        while !out.requests.is_empty() {
            for request in std::mem::take(&mut out.requests) {
                if let Some((id, outcome)) = self.answers.ask(request) {
                    let outcome = self.session.fetched(id, as_slice(&outcome), now, out);
                    out.reject(outcome);
                }
            }
        }
    }
}

fn as_slice(outcome: &Outcome) -> Result<&[u8], FetchFailed> {
    outcome.as_deref().map_err(Clone::clone)
}
