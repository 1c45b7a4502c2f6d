//! One symbol's book, built of a snapshot and of events that come in order: steps 1 to 6 and 8 to 10 of the recipe in
//! [`super::order_book`], which sees to the order.

use std::collections::VecDeque;

use marketprism_core::{DataType, GapReason, Timestamp};

use super::ahead::Kept;
use super::chain::Join;
use super::depth::{self, Depth};
use super::market::{Chain, Market};
use super::refresh::{self, Outcome, Refresh};
use crate::book::Book;
use crate::context::{Context, Missing};
use crate::decode::Levels;
use crate::publication::{Applied, Publication};
use crate::registry::SessionOptions;
use crate::requests::Ask;
use crate::session::{FetchFailed, Note, Pressure, Rejected};

/// Events kept while a snapshot is awaited: 100 s of the 100 ms stream. When there are more the oldest are
/// forgotten, which only asks for a younger snapshot; it contains them, so nothing is lost.
const BUFFERED_EVENTS_MAX: usize = 1_000;

/// The book and where it stands in the recipe.
#[derive(Debug)]
pub(super) struct LocalBook {
    chain: Chain,
    phase: Phase,
    book: Book,
    publication: Publication,
    buffer: VecDeque<Kept>,
    /// Last update received, or published before a restart.
    last: Option<u64>,
    pub(super) snapshot: Ask,
    /// The most levels a snapshot shows.
    snapshot_limit: usize,
    refresh: Refresh,
    /// Levels that are to be known; see step 10.
    known_levels_min: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Steps 1 to 3: no snapshot yet.
    Buffering,
    /// Step 5: the book holds the snapshot of this last update and waits for the event that joins.
    Joining(u64),
    /// Steps 6 to 8.
    Live,
}

impl LocalBook {
    pub(super) fn new(
        market: &'static Market,
        options: &SessionOptions,
        instrument_id: &str,
        last: Option<u64>,
    ) -> Self {
        let depth = options.book_depth as usize;
        let levels_max = options.book_depth_max.max(options.book_depth) as usize;
        let snapshot_limit = market.snapshot_size(options.snapshot_levels).0 as usize;
        Self {
            chain: market.chain,
            phase: Phase::Buffering,
            book: Book::new(levels_max),
            publication: Publication::new(options, instrument_id),
            buffer: VecDeque::new(),
            last,
            snapshot: Ask::default(),
            snapshot_limit,
            refresh: Refresh::default(),
            // A quarter more than is published, so that the snapshot comes before they are missing.
            known_levels_min: (depth + depth / 4).min(snapshot_limit).min(levels_max),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The last socket is gone: what was received is published, then the book begins anew.
    pub(super) fn closed(&mut self, context: &mut Context<'_>) {
        self.publish(context);
        self.discard();
        self.snapshot = Ask::default();
    }

    /// The book is wrong, or may be.
    pub(super) fn resync(&mut self, reason: GapReason, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            context.out.note(Note::Resync { symbol: &context.instrument.symbol, reason });
        }
        self.discard();
    }

    fn discard(&mut self) {
        self.phase = Phase::Buffering;
        self.book.clear();
        self.buffer.clear();
        self.publication.broken();
    }

    /// Begins anew although nothing is missing: the next book contains every event.
    pub(super) fn rebuild(&mut self, context: &mut Context<'_>) {
        self.resync(GapReason::Sequence, context);
        self.snapshot.want(context.now);
    }

    /// The exchange counts anew.
    pub(super) fn restarted(&mut self, now: Timestamp) {
        self.last = None;
        self.publication.restarted(now);
    }

    /// The next event.
    pub(super) fn event(
        &mut self,
        depth: Depth,
        received: Timestamp,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        if self.phase == Phase::Live {
            self.publication.before(depth.event, &self.book, context);
        }
        self.last = Some(depth.last);
        self.publication.received(depth.first);
        match self.phase {
            Phase::Buffering => {
                // 1.
                if self.buffer.len() >= BUFFERED_EVENTS_MAX {
                    self.buffer.pop_front();
                }
                self.buffer.push_back(Kept { depth, received, levels: levels.clone() });
                // 2.
                self.snapshot.want(context.now);
            }
            Phase::Joining(_) | Phase::Live => self.step(depth, received, levels, context),
        }
    }

    /// A snapshot arrived; `levels` is where it is decoded into.
    pub(super) fn fetched(
        &mut self,
        body: &[u8],
        levels: &mut Levels,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        let last = match depth::snapshot(body, levels) {
            Ok(snapshot) => snapshot.last,
            Err(rejected) => {
                self.snapshot.failed(context.now, None);
                return Err(rejected);
            }
        };
        let outcome = match self.phase {
            Phase::Live => self.told_more(last, levels, context),
            Phase::Buffering | Phase::Joining(_) => self.begin(last, levels, context),
        };
        if outcome == Outcome::TooOld {
            self.snapshot.failed(context.now, None);
            context.out.note(Note::Ignored { what: "snapshot_too_old" });
        }
        Ok(())
    }

    /// Steps 3 to 6.
    fn begin(&mut self, last: u64, levels: &Levels, context: &mut Context<'_>) -> Outcome {
        // 3.
        let is_too_old = match self.buffer.front() {
            Some(first) => self.chain.join(last, &first.depth) == Join::TooOld,
            None => self.last.is_some_and(|received| last < received),
        };
        if is_too_old {
            return Outcome::TooOld;
        }
        self.snapshot.succeeded();
        self.refresh.began(context.now);
        // 6.
        self.book.clear();
        refresh::apply(&mut self.book, levels);
        self.book.set_known(self.snapshot_limit);
        self.phase = Phase::Joining(last);
        while let Some(Kept { depth, received, levels }) = self.buffer.pop_front() {
            self.step(depth, received, &levels, context);
        }
        Outcome::Done
    }

    /// Step 10.
    fn told_more(&mut self, last: u64, levels: &Levels, context: &mut Context<'_>) -> Outcome {
        let received = self.last.unwrap_or_default();
        let snapshot = refresh::Snapshot { last, levels, limit: self.snapshot_limit };
        let outcome = self.refresh.snapshot(self.chain, received, snapshot, &mut self.book);
        if outcome != Outcome::TooOld {
            self.snapshot.succeeded();
        }
        if self.book.is_crossed() {
            // 9. Nothing is missing: the next book has every event.
            self.rebuild(context);
        }
        outcome
    }

    /// No snapshot came: asks again later.
    pub(super) fn snapshot_failed(&mut self, failure: Option<&FetchFailed>, now: Timestamp) {
        self.snapshot.failed(now, failure);
    }

    /// One event on a book that has its snapshot.
    fn step(&mut self, depth: Depth, received: Timestamp, levels: &Levels, context: &mut Context<'_>) {
        if let Phase::Joining(snapshot) = self.phase {
            match self.chain.join(snapshot, &depth) {
                // 4.
                Join::Contained => return,
                // 5.
                Join::Joins => {
                    self.phase = Phase::Live;
                    context.out.note(Note::Synced { symbol: &context.instrument.symbol });
                }
                // 3. Only after events were missed between the snapshot and this one.
                Join::TooOld => {
                    self.discard();
                    self.buffer.push_back(Kept { depth, received, levels: levels.clone() });
                    self.snapshot.failed(context.now, None);
                    return;
                }
            }
        } else if self.phase == Phase::Live {
            context.out.note(Note::BookUpdated { symbol: &context.instrument.symbol });
        } else {
            // A crossed book was found while the buffer was replayed: the next snapshot contains this event.
            return;
        }
        // 8.
        refresh::apply(&mut self.book, levels);
        self.refresh.event(depth, levels, self.snapshot_limit, &mut self.book);
        if self.book.is_crossed() {
            // 9.
            let missing = Missing {
                ids: Some((depth.first, depth.last)),
                times: Some((depth.event, depth.event)),
                reason: GapReason::Sequence,
                filled: 0,
                detail: Some("the book crossed"),
            };
            context.gap(DataType::OrderBook, missing);
            self.resync(GapReason::Sequence, context);
            self.snapshot.failed(context.now, None);
        } else {
            let applied = Applied { last: depth.last, event: depth.event, received };
            let more_follow = !self.buffer.is_empty();
            self.publication.applied(applied, more_follow, &self.book, context);
        }
    }

    /// Publishes when it is this symbol's turn, asks for more levels.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            self.publication.tick(&self.book, context);
            if self.refresh.asks(&self.book, self.known_levels_min, context.now) {
                self.snapshot.want(context.now);
            }
        }
    }

    /// Publishes the book if it is right and has changed.
    pub(super) fn publish(&mut self, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            self.publication.publish(&self.book, context);
        }
    }

    pub(super) fn set_pressure(&mut self, pressure: Pressure) {
        self.publication.set_pressure(pressure);
    }

    /// The end: publishes what can be, declares what cannot.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        self.publish(context);
        self.publication.abandon(self.last, context);
    }
}
