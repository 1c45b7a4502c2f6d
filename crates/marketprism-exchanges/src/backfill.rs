//! Fills holes in one instrument's trade numbers from REST, then declares each as one gap with what was recovered. How
//! the exchange is asked is its session's business.
//!
//! Live trades do not wait for it. A hole is first left to the other sockets: one may be a little behind and bring it.

use std::collections::VecDeque;

use marketprism_core::{DataType, GapReason, Source, Timestamp};

use crate::context::{Context, Missing, SECOND};
use crate::requests::Ask;
use crate::session::{FetchFailed, Note, Rejected};
#[cfg(doc)]
use crate::stored_trades;
use crate::trade_line::{self, Print};

/// A larger hole is not fetched: ten full answers already take a good part of a minute's weight, and behind an
/// outage of hours the symbol would never catch up.
const HOLE_IDS_MAX: u64 = 10_000;
/// A hole waits this long before REST is asked; two sockets are rarely further apart.
const PATIENCE_MICROS: i64 = SECOND;
/// Holes of one symbol waiting at most; a line that tears more often than it can be mended declares the rest.
const HOLES_MAX: usize = 16;
/// A hole that is still open so long after REST could be asked is given up, too: the exchange turns us away for longer. What
/// it means for a restart is [`stored_trades::HOLE_OPEN_MAX`].
const OPEN_MICROS_MAX: i64 = 300 * SECOND;
/// Failures in a row after which a hole is given up; with their backoff, about half a minute.
const FAILURES_MAX: u32 = 5;

/// The holes of one symbol.
#[derive(Debug, Default)]
pub(crate) struct Backfill {
    holes: VecDeque<Hole>,
    ask: Ask,
}

/// Missing ids.
#[derive(Debug)]
pub(crate) struct Hole {
    from: u64,
    to: u64,
    times: (Timestamp, Timestamp),
    reason: GapReason,
    /// When REST may be asked.
    due: Timestamp,
    /// What is still missing, inclusive; shrinks from the end the exchange answers from.
    missing: (u64, u64),
    recovered: u64,
    placeholders: u64,
}

/// From which end an exchange answers when it has more than one answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The oldest missing first.
    Oldest,
    /// The newest missing first.
    Newest,
}

impl Hole {
    pub(crate) const fn new(from: u64, to: u64, times: (Timestamp, Timestamp), reason: GapReason) -> Self {
        let due = times.1;
        Self { from, to, times, reason, due, missing: (from, to), recovered: 0, placeholders: 0 }
    }

    const fn ids(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    fn declare(&self, reason: GapReason, detail: Option<&str>, context: &mut Context<'_>) {
        context.gap(
            DataType::Trade,
            Missing {
                ids: Some((self.from, self.to)),
                times: Some(self.times),
                reason,
                filled: self.recovered,
                detail,
            },
        );
    }
}

impl Backfill {
    /// Takes a hole on, or declares it at once where that cannot be done.
    pub(crate) fn add(&mut self, mut hole: Hole, context: &mut Context<'_>) {
        if hole.ids() > HOLE_IDS_MAX {
            hole.declare(hole.reason, Some("too many to fetch"), context);
        } else if self.holes.len() >= HOLES_MAX {
            hole.declare(GapReason::BackfillFailed, Some("too many holes are waiting"), context);
        } else {
            hole.due = context.now.saturating_add_micros(PATIENCE_MICROS);
            self.ask.want(hole.due);
            self.holes.push_back(hole);
        }
    }

    /// The hole that this print begins and REST was not asked about, so that another socket may fill it.
    fn begun_by(&self, print: &Print<'_>) -> Option<usize> {
        let is_asked = self.ask.is_open();
        let begins = |(at, hole): (usize, &Hole)| {
            hole.missing == (hole.from, hole.to)
                && (print.first_sequence..=print.sequence).contains(&hole.from)
                && !(at == 0 && is_asked)
        };
        self.holes.iter().enumerate().position(begins)
    }

    /// Whether a print that came late is missing still.
    pub(crate) fn lacks(&self, print: &Print<'_>) -> bool {
        self.begun_by(print).is_some()
    }

    /// The print was published: its hole is that much smaller, and was never there once it is empty.
    pub(crate) fn filled(&mut self, print: &Print<'_>) {
        let Some(at) = self.begun_by(print) else { return };
        let Some(hole) = self.holes.get_mut(at) else { return };
        hole.from = print.sequence.saturating_add(1);
        hole.missing.0 = hole.from;
        hole.times.0 = print.event;
        if hole.from > hole.to {
            self.holes.remove(at);
            if at == 0 {
                self.next();
            }
        }
    }

    /// Declares what has been open for too long; a request that is under way is waited for.
    pub(crate) fn tick(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let is_old = |hole: &Hole| now.micros_since(hole.due) >= OPEN_MICROS_MAX;
        while !self.ask.is_open() && self.holes.front().is_some_and(is_old) {
            self.finish(Some("not given back in time"), context);
        }
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.ask.is_due(now)
    }

    pub(crate) fn opened(&mut self) {
        self.ask.opened();
    }

    /// First and last number to ask for next. `None` when nothing is missing.
    pub(crate) fn missing(&self) -> Option<(u64, u64)> {
        self.holes.front().map(|hole| hole.missing)
    }

    /// Takes the answer to a request: prints in rising order, from the end of what was asked for, where there was one and
    /// it could be read.
    ///
    /// # Errors
    /// What could not be read; it is asked for again.
    pub(crate) fn settled(
        &mut self,
        answer: Result<Result<Vec<Print<'_>>, Rejected>, Option<FetchFailed>>,
        from_end: End,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        match answer {
            Ok(Ok(prints)) => self.answered(&prints, from_end, context),
            Ok(Err(rejected)) => {
                self.failed(None, &rejected.to_string(), context);
                return Err(rejected);
            }
            Err(failure) => {
                let why = failure.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
                self.failed(failure.as_ref(), &why, context);
            }
        }
        Ok(())
    }

    /// Publishes what an answer brought of what is missing.
    fn answered(&mut self, prints: &[Print<'_>], from_end: End, context: &mut Context<'_>) {
        let Some(hole) = self.holes.front_mut() else {
            return self.ask.succeeded();
        };
        let (from, to) = hole.missing;
        let recovered_before = hole.recovered;
        for print in prints.iter().filter(|print| print.sequence >= from && print.first_sequence <= to) {
            let numbers = print.sequence.min(to).saturating_sub(print.first_sequence.max(from)) + 1;
            if print.is_placeholder {
                hole.placeholders += numbers;
            } else if trade_line::emit(print, Source::Backfill, context).is_ok() {
                hole.recovered += numbers;
            }
        }
        let count = hole.recovered - recovered_before;
        if count > 0 {
            context.out.note(Note::Backfilled { symbol: &context.instrument.symbol, count });
        }
        let reached = match from_end {
            End::Oldest => prints.last().map(|last| last.sequence.saturating_add(1)),
            End::Newest => prints.first().map(|first| first.first_sequence.saturating_sub(1)),
        };
        match (from_end, reached) {
            // What lies between two prints of one answer the exchange does not have.
            (End::Oldest, Some(next)) if next > to => self.finish(None, context),
            (End::Newest, Some(next)) if next < from => self.finish(None, context),
            (End::Oldest, Some(next)) if next > from => self.go_on((next, to), context),
            (End::Newest, Some(next)) if next < to => self.go_on((from, next), context),
            // Perhaps the exchange's archive is behind its stream.
            _ => self.failed(None, "the exchange did not give them back", context),
        }
    }

    fn go_on(&mut self, missing: (u64, u64), context: &Context<'_>) {
        if let Some(hole) = self.holes.front_mut() {
            hole.missing = missing;
        }
        self.ask.want_more(context.now);
    }

    /// No answer, or none that helps: tries again a few times.
    fn failed(&mut self, failure: Option<&FetchFailed>, why: &str, context: &mut Context<'_>) {
        let is_refused =
            matches!(failure, Some(FetchFailed::Status { status: 400 | 401 | 403 | 404 | 451, .. }));
        if self.ask.failed(context.now, failure) >= FAILURES_MAX || is_refused {
            self.finish(Some(why), context);
        }
    }

    /// Declares the first hole and goes on with the next.
    fn finish(&mut self, why: Option<&str>, context: &mut Context<'_>) {
        if let Some(hole) = self.holes.pop_front() {
            let is_complete = hole.recovered + hole.placeholders == hole.ids();
            let reason = if is_complete { hole.reason } else { GapReason::BackfillFailed };
            hole.declare(reason, why, context);
        }
        self.next();
    }

    /// Turns to what is now the first hole.
    fn next(&mut self) {
        self.ask.succeeded();
        if let Some(hole) = self.holes.front() {
            self.ask.want(hole.due);
        }
    }

    /// The process ends: declares what is still missing.
    pub(crate) fn drain(&mut self, context: &mut Context<'_>) {
        for hole in self.holes.drain(..) {
            hole.declare(GapReason::Shutdown, Some("stopped before it was fetched"), context);
        }
    }
}

#[cfg(test)]
mod tests {
    use marketprism_core::DataType;

    use super::*;
    use crate::recorded::{Recorded, at, instrument, print};
    use crate::trade_line::TradeLine;

    fn ids(recorded: &Recorded) -> Vec<String> {
        let trades = recorded.messages.iter().filter(|message| message["data_type"] == "trade");
        trades.map(|trade| trade["trade_id"].as_str().unwrap().to_owned()).collect()
    }

    /// From, to and how many were recovered.
    fn gaps(recorded: &Recorded) -> Vec<[u64; 3]> {
        let gaps = recorded.messages.iter().filter(|message| message["data_type"] == "gap");
        gaps.map(|gap| ["from_sequence", "to_sequence", "filled"].map(|field| gap[field].as_u64().unwrap()))
            .collect()
    }

    /// A line that saw 10 and 21: a hole of ten.
    fn holed(recorded: &mut Recorded) -> TradeLine {
        let instrument = instrument();
        let mut line = TradeLine::new(None);
        for id in [10, 21] {
            line.print(&print(id, id), &mut recorded.context(&instrument, at(0))).unwrap();
        }
        line
    }

    #[test]
    fn a_hole_is_filled_from_either_end() {
        let instrument = instrument();
        for (end, pages) in [(End::Oldest, [11..=15, 16..=22]), (End::Newest, [16..=21, 9..=15])] {
            let mut recorded = Recorded::default();
            let mut line = holed(&mut recorded);
            for (page, missing) in
                pages.into_iter().zip([(11, 20), if end == End::Oldest { (16, 20) } else { (11, 15) }])
            {
                assert!(line.backfill.is_due(at(1_000)));
                assert_eq!(line.backfill.missing(), Some(missing));
                line.backfill.opened();
                let prints: Vec<_> = page.map(|id| print(id, id)).collect();
                line.backfill.answered(&prints, end, &mut recorded.context(&instrument, at(1_000)));
            }
            let mut told: Vec<u64> = ids(&recorded).iter().map(|id| id.parse().unwrap()).collect();
            told.sort_unstable();
            assert_eq!(told, [vec![10], (11..=20).collect(), vec![21]].concat());
            assert_eq!(gaps(&recorded), [[11, 20, 10]]);
            assert_eq!(line.backfill.missing(), None);
        }
    }

    #[test]
    fn a_print_of_several_numbers_fills_what_it_covers() {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let mut line = holed(&mut recorded);
        line.backfill.opened();
        let prints = [print(9, 12), print(13, 13), print(14, 23)];
        line.backfill.answered(&prints, End::Oldest, &mut recorded.context(&instrument, at(1_000)));
        assert_eq!(gaps(&recorded), [[11, 20, 10]]);
    }

    #[test]
    fn a_socket_that_is_behind_fills_a_hole_that_was_not_asked_for() {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let mut line = holed(&mut recorded);
        let context = &mut recorded.context(&instrument, at(500));
        assert!(!line.backfill.is_due(at(500)), "it is left to the other socket");
        for id in 9..=20 {
            line.print(&print(id, id), context).unwrap();
        }
        assert_eq!(line.backfill.missing(), None);
        assert!(!line.backfill.is_due(at(5_000)));
        assert_eq!((ids(&recorded).len(), gaps(&recorded)), (12, vec![]));
        assert_eq!(recorded.notes.len(), 2, "9 and 10 were known");
    }

    #[test]
    fn what_it_brings_of_a_hole_makes_it_smaller_until_rest_is_asked() {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let mut line = holed(&mut recorded);
        let context = &mut recorded.context(&instrument, at(500));
        // 13 and 15 to 20 are missing there, too.
        for id in [11, 12, 14] {
            line.print(&print(id, id), context).unwrap();
        }
        assert_eq!(line.backfill.missing(), Some((13, 20)));
        line.backfill.opened();
        line.print(&print(13, 13), context).unwrap();
        let prints: Vec<_> = (13..=21).map(|id| print(id, id)).collect();
        line.backfill.answered(&prints, End::Oldest, context);
        let mut told = ids(&recorded);
        let count = told.len();
        told.sort();
        told.dedup();
        assert_eq!((told.len(), count), (12, 12), "each once");
        assert_eq!(gaps(&recorded), [[13, 20, 8]]);
        assert_eq!(
            recorded.notes.iter().filter(|note| note.contains(&format!("{:?}", DataType::Trade))).count(),
            2
        );
    }
}
