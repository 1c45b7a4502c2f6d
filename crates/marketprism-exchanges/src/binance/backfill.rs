//! Fills holes in one symbol's trade ids from REST, then declares each as one gap with what was recovered.
//!
//! Live trades do not wait for it.

use std::collections::VecDeque;

use marketprism_core::{DataType, GapReason, Source, Timestamp};

use super::feed::{Context, Missing};
use super::market::{Market, TradeStream, percent_encoded};
use super::messages::{self, Print};
use super::requests::Ask;
use super::trades;
use crate::session::{FetchFailed, Note, Rejected};

/// A larger hole is not fetched: ten full answers already take a good part of a minute's weight, and behind an
/// outage of hours the symbol would never catch up.
const HOLE_IDS_MAX: u64 = 10_000;
/// Holes of one symbol waiting at most; a line that tears more often than it can be mended declares the rest.
const HOLES_MAX: usize = 16;
/// Failures in a row after which a hole is given up; with their backoff, about half a minute.
const FAILURES_MAX: u32 = 5;

/// The holes of one symbol.
#[derive(Debug, Default)]
pub(super) struct Backfill {
    holes: VecDeque<Hole>,
    ask: Ask,
}

/// Missing ids.
#[derive(Debug)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) times: (Timestamp, Timestamp),
    pub(super) reason: GapReason,
    next: u64,
    recovered: u64,
    placeholders: u64,
}

impl Hole {
    pub(super) const fn new(from: u64, to: u64, times: (Timestamp, Timestamp), reason: GapReason) -> Self {
        Self { from, to, times, reason, next: from, recovered: 0, placeholders: 0 }
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
    pub(super) fn add(&mut self, hole: Hole, context: &mut Context<'_>) {
        if hole.ids() > HOLE_IDS_MAX {
            hole.declare(hole.reason, Some("too many to fetch"), context);
        } else if self.holes.len() >= HOLES_MAX {
            hole.declare(GapReason::BackfillFailed, Some("too many holes are waiting"), context);
        } else {
            self.holes.push_back(hole);
            self.ask.want(context.now);
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.ask.is_due(now)
    }

    pub(super) fn opened(&mut self) {
        self.ask.opened();
    }

    /// Path of the next request. `None` when nothing is missing.
    pub(super) fn path(&self, market: &Market, stream: TradeStream, instrument_id: &str) -> Option<String> {
        let hole = self.holes.front()?;
        let rest = market.trades_rest(stream);
        // One more than the hole has: the trade behind it proves that nothing is left out.
        let limit = hole.to.saturating_sub(hole.next).saturating_add(2).min(u64::from(rest.limit));
        let symbol = percent_encoded(instrument_id);
        Some(format!("{}?symbol={symbol}&fromId={}&limit={limit}", rest.path, hole.next))
    }

    /// Publishes what an answer recovered.
    pub(super) fn answered(
        &mut self,
        body: &[u8],
        stream: TradeStream,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        let decoded = match stream {
            TradeStream::Trade => messages::historical_trades(body),
            TradeStream::Aggregate => messages::historical_aggregates(body),
        };
        match decoded {
            Ok(prints) => {
                self.recover(&prints, context);
                Ok(())
            }
            Err(rejected) => {
                self.failed(None, &rejected.to_string(), context);
                Err(rejected)
            }
        }
    }

    fn recover(&mut self, prints: &[Print], context: &mut Context<'_>) {
        let Some(hole) = self.holes.front_mut() else {
            return self.ask.succeeded();
        };
        let (next_before, recovered_before) = (hole.next, hole.recovered);
        let mut is_past_end = false;
        for print in prints {
            if print.id > hole.to {
                is_past_end = true;
                break;
            }
            if print.id < hole.next {
                continue;
            }
            hole.next = print.id.saturating_add(1);
            if print.is_placeholder {
                hole.placeholders += 1;
            } else if trades::emit(print, Source::Backfill, context).is_ok() {
                hole.recovered += 1;
            }
        }
        let count = hole.recovered - recovered_before;
        if count > 0 {
            context.out.note(Note::Backfilled { symbol: &context.instrument.symbol, count });
        }
        if hole.next > hole.to || is_past_end {
            self.finish(None, context);
        } else if hole.next > next_before {
            self.ask.want_more(context.now);
        } else {
            // Perhaps the exchange's archive is behind its stream.
            self.failed(None, "the exchange did not give them back", context);
        }
    }

    /// No answer, or none that helps: tries again a few times.
    pub(super) fn failed(&mut self, failure: Option<&FetchFailed>, why: &str, context: &mut Context<'_>) {
        let (retry_after, is_refused) = match failure {
            Some(FetchFailed::Status { status, retry_after_seconds, .. }) => {
                (*retry_after_seconds, matches!(status, 400 | 401 | 403 | 404 | 451))
            }
            Some(FetchFailed::Transport(_)) | None => (None, false),
        };
        if self.ask.failed(context.now, retry_after) >= FAILURES_MAX || is_refused {
            self.finish(Some(why), context);
        }
    }

    /// Declares the first hole and goes on with the next.
    fn finish(&mut self, why: Option<&str>, context: &mut Context<'_>) {
        self.ask.succeeded();
        if let Some(hole) = self.holes.pop_front() {
            let is_complete = hole.recovered + hole.placeholders == hole.ids();
            let reason = if is_complete { hole.reason } else { GapReason::BackfillFailed };
            hole.declare(reason, why, context);
        }
        if !self.holes.is_empty() {
            self.ask.want(context.now);
        }
    }

    /// The process ends: declares what is still missing.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        for hole in self.holes.drain(..) {
            hole.declare(GapReason::Shutdown, Some("stopped before it was fetched"), context);
        }
    }
}
