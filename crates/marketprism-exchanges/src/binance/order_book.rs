//! One symbol's order book, by the exchange's recipe. The numbers below stand again where the code does it.
//!
//! 1. Subscribe to `<symbol>@depth@100ms` and buffer the events.
//! 2. Ask REST for a snapshot of last update `L`. Asked for once the first event is there: an earlier one could
//!    only be too old.
//! 3. A snapshot that ends before the first buffered event begins is too old: keep the buffer, go to 2.
//!    Spot: `L + 1 < U`. USDⓈ-M: `L < pu`.
//! 4. Drop events that the snapshot contains. Spot: `u <= L`. USDⓈ-M: `u < L`.
//! 5. The first remaining event must join. Spot: `U <= L + 1 <= u`. USDⓈ-M: `U <= L <= u`, or `pu <= L < U`,
//!    because its ids are sparse and a snapshot may fall between two events.
//!    While no event remains the snapshot waits for one.
//! 6. The book is the snapshot, then each event in order.
//! 7. An event must follow the one before. Spot: `U = previous u + 1`. USDⓈ-M: `pu = previous u`. One that ends
//!    at or before the previous `u` is old and ignored, one that begins before it overlaps and follows, too. Any other
//!    is a break, unless another socket brings what lies between ([`super::ahead`]): the missing ids are declared as
//!    a gap, the book is thrown away, go to 2. Neither the connection nor another symbol notices.
//! 8. Quantities are absolute; zero removes, and removing an unknown level is normal.
//! 9. A crossed book is wrong: it is never published, go to 2.
//! 10. Levels beyond the snapshot's are unknown until they are touched: a snapshot tells more of them before they are
//!     among those published ([`super::refresh`]).
//!
//! Step 7 is checked for every event from the first one on, also while buffering and across connections, so no
//! missing event goes unnoticed. Every event is counted in exactly one published message, or lies in a declared gap.

use std::collections::VecDeque;

use marketprism_core::{DataType, GapReason, Timestamp};

use super::ahead::{Ahead, Kept};
use super::chain::{Join, Order, Received};
use super::depth::{self, Depth};
use super::market::Market;
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

/// The book of one symbol and where it stands in the recipe.
#[derive(Debug)]
pub(super) struct BookSync {
    market: &'static Market,
    phase: Phase,
    book: Book,
    publication: Publication,
    buffer: VecDeque<Kept>,
    ahead: Ahead,
    /// The last event received, on whichever connection, or the last one published before a restart.
    received: Option<Received>,
    /// Why events would be missing before the next one.
    hole_reason: GapReason,
    /// Sockets that bring the stream.
    links: usize,
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

impl BookSync {
    /// Continues after what was published before this process started.
    pub(super) fn new(
        market: &'static Market,
        options: &SessionOptions,
        instrument_id: &str,
        seed: Option<(u64, Timestamp)>,
    ) -> Self {
        let depth = options.book_depth as usize;
        let levels_max = options.book_depth_max.max(options.book_depth) as usize;
        let snapshot_limit = market.snapshot_size(options.snapshot_levels).0 as usize;
        Self {
            market,
            phase: Phase::Buffering,
            book: Book::new(levels_max),
            publication: Publication::new(options, instrument_id),
            buffer: VecDeque::new(),
            ahead: Ahead::default(),
            received: seed.map(|(last, event)| Received { last, event }),
            hole_reason: GapReason::Disconnect,
            links: 0,
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

    /// So many sockets bring the stream from now on. When none does, what was received is published, then the book begins
    /// anew.
    pub(super) fn set_links(&mut self, links: usize, context: &mut Context<'_>) {
        if links < self.links {
            self.hole_reason = GapReason::Disconnect;
        }
        self.links = links;
        if links == 0 {
            self.stop_waiting(context);
            self.publish(context);
            self.discard();
            self.snapshot = Ask::default();
        }
    }

    /// A frame of this stream could not be decoded: unless another socket brings it, the book can no longer be right.
    pub(super) fn undecodable(&mut self, context: &mut Context<'_>) {
        if self.hole_reason == GapReason::Sequence {
            self.hole_reason = GapReason::Undecodable;
        }
        if self.links <= 1 {
            self.publish(context);
            self.resync(GapReason::Undecodable, context);
        }
    }

    /// An event arrived.
    pub(super) fn event(&mut self, depth: Depth, levels: &Levels, context: &mut Context<'_>) {
        // 7.
        match self.market.chain.order(self.received, &depth) {
            Order::Next => self.take(depth, context.now, levels, context),
            Order::Old => return context.out.note(Note::Duplicate { data_type: DataType::OrderBook }),
            Order::Hole(..) => {
                self.ahead.put(Kept { depth, received: context.now, levels: levels.clone() });
                if self.links <= 1 {
                    self.skip_hole(context);
                }
            }
            Order::Restarted => {
                self.broken(None, &depth, context);
                self.publication.restarted(context.now);
                self.take(depth, context.now, levels, context);
            }
        }
        if !self.ahead.is_empty() {
            self.catch_up(context);
        }
    }

    /// Takes the events that another socket brought before it was their turn.
    fn catch_up(&mut self, context: &mut Context<'_>) {
        while let Some(first) = self.ahead.first() {
            let order = self.market.chain.order(self.received, first);
            if matches!(order, Order::Hole(..)) {
                return;
            }
            let Some(Kept { depth, received, levels }) = self.ahead.take_first() else { return };
            if order == Order::Next {
                self.take(depth, received, &levels, context);
            } else {
                context.out.note(Note::Duplicate { data_type: DataType::OrderBook });
            }
        }
    }

    /// What lies before the events that wait does not come any more.
    fn skip_hole(&mut self, context: &mut Context<'_>) {
        let Some(Kept { depth, received, levels }) = self.ahead.take_first() else { return };
        let missing = match self.market.chain.order(self.received, &depth) {
            Order::Hole(from, to) => Some((from, to)),
            Order::Next | Order::Old | Order::Restarted => None,
        };
        self.broken(missing, &depth, context);
        self.take(depth, received, &levels, context);
        self.catch_up(context);
    }

    fn stop_waiting(&mut self, context: &mut Context<'_>) {
        while !self.ahead.is_empty() {
            self.skip_hole(context);
        }
    }

    /// The next event.
    fn take(&mut self, depth: Depth, received: Timestamp, levels: &Levels, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            self.publication.before(depth.event, &self.book, context);
        }
        self.received = Some(Received { last: depth.last, event: depth.event });
        self.hole_reason = GapReason::Sequence;
        self.ahead.progressed(context.now);
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

    /// Events are missing before this one: declares them and begins anew.
    fn broken(&mut self, ids: Option<(u64, u64)>, depth: &Depth, context: &mut Context<'_>) {
        // What the book shows up to here is right.
        self.publish(context);
        let reason = self.hole_reason;
        let missing = Missing {
            ids,
            times: self.received.map(|received| (received.event, depth.event)),
            reason,
            filled: 0,
            detail: ids.is_none().then_some("update ids restarted"),
        };
        context.gap(DataType::OrderBook, missing);
        self.resync(reason, context);
    }

    fn resync(&mut self, reason: GapReason, context: &mut Context<'_>) {
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

    /// Begins anew because somebody asked for it: nothing is missing.
    pub(super) fn rebuild(&mut self, context: &mut Context<'_>) {
        self.resync(GapReason::Sequence, context);
        self.snapshot.want(context.now);
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
        match outcome {
            Outcome::TooOld => {
                self.snapshot.failed(context.now, None);
                context.out.note(Note::Ignored { what: "snapshot_too_old" });
            }
            Outcome::Unasked | Outcome::Waits | Outcome::Done => {}
        }
        Ok(())
    }

    /// Steps 3 to 6.
    fn begin(&mut self, last: u64, levels: &Levels, context: &mut Context<'_>) -> Outcome {
        // 3.
        let is_too_old = match self.buffer.front() {
            Some(first) => self.market.chain.join(last, &first.depth) == Join::TooOld,
            None => self.received.is_some_and(|received| last < received.last),
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
        let received = self.received.map_or(0, |received| received.last);
        let snapshot = refresh::Snapshot { last, levels, limit: self.snapshot_limit };
        let outcome = self.refresh.snapshot(self.market.chain, received, snapshot, &mut self.book);
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
    pub(super) fn fetch_failed(&mut self, failure: Option<&FetchFailed>, now: Timestamp) {
        self.snapshot.failed(now, failure);
    }

    /// One event on a book that has its snapshot.
    fn step(&mut self, depth: Depth, received: Timestamp, levels: &Levels, context: &mut Context<'_>) {
        if let Phase::Joining(snapshot) = self.phase {
            match self.market.chain.join(snapshot, &depth) {
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

    /// Publishes when it is this symbol's turn, gives up waiting, asks for more levels.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.ahead.is_over(context.now) {
            self.skip_hole(context);
        }
        if self.phase == Phase::Live {
            self.publication.tick(&self.book, context);
            if self.refresh.asks(&self.book, self.known_levels_min, context.now) {
                self.snapshot.want(context.now);
            }
        }
    }

    /// Publishes the book if it is right and has changed.
    fn publish(&mut self, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            self.publication.publish(&self.book, context);
        }
    }

    pub(super) fn set_pressure(&mut self, pressure: Pressure) {
        self.publication.set_pressure(pressure);
    }

    /// The process ends, or the symbol is no longer wanted: publishes what can be, declares what cannot.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        self.stop_waiting(context);
        self.publish(context);
        self.publication.abandon(self.received.map(|received| received.last), context);
    }
}
