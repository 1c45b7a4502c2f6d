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
//!    at or before the previous `u` is old and ignored; any other is a break: the missing ids are declared as a
//!    gap, the book is thrown away, go to 2. Neither the connection nor another symbol notices.
//! 8. Quantities are absolute; zero removes, and removing an unknown level is normal.
//! 9. A crossed book is wrong: it is never published, go to 2.
//!
//! Step 7 is checked for every event from the first one on, also while buffering and across connections, so no
//! missing event goes unnoticed. Every event is counted in exactly one published message, or lies in a declared gap.

use std::collections::VecDeque;

use marketprism_core::{DataType, GapReason, Timestamp};

use super::chain::{Join, Order, Received};
use super::depth::{self, Depth};
use super::market::Chain;
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
    chain: Chain,
    phase: Phase,
    book: Book,
    publication: Publication,
    buffer: VecDeque<(Depth, Timestamp, Levels)>,
    /// The last event received, on this connection or an earlier one, or the last one published before a restart.
    received: Option<Received>,
    /// Why events would be missing before the next one.
    hole_reason: GapReason,
    pub(super) snapshot: Ask,
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
        chain: Chain,
        options: &SessionOptions,
        instrument_id: &str,
        seed: Option<(u64, Timestamp)>,
    ) -> Self {
        let levels_max = options.book_depth_max.max(options.book_depth) as usize;
        Self {
            chain,
            phase: Phase::Buffering,
            book: Book::new(levels_max),
            publication: Publication::new(options, instrument_id),
            buffer: VecDeque::new(),
            received: seed.map(|(last, event)| Received { last, event }),
            hole_reason: GapReason::Disconnect,
            snapshot: Ask::default(),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// The connection is gone: what was received is published, then the book begins anew.
    pub(super) fn closed(&mut self, context: &mut Context<'_>) {
        self.publish(context);
        self.discard();
        self.snapshot = Ask::default();
        self.hole_reason = GapReason::Disconnect;
    }

    /// A frame of this stream could not be decoded: the book can no longer be right.
    pub(super) fn undecodable(&mut self, context: &mut Context<'_>) {
        if self.hole_reason == GapReason::Sequence {
            self.hole_reason = GapReason::Undecodable;
        }
        self.publish(context);
        self.resync(GapReason::Undecodable, context);
    }

    /// An event arrived.
    pub(super) fn event(&mut self, depth: Depth, levels: &Levels, context: &mut Context<'_>) {
        // 7.
        match self.chain.order(self.received, &depth, self.hole_reason == GapReason::Disconnect) {
            Order::Next => {}
            Order::Old => return context.out.note(Note::Duplicate { data_type: DataType::OrderBook }),
            Order::Hole(from, to) => self.broken(Some((from, to)), &depth, context),
            Order::Restarted => self.broken(None, &depth, context),
        }
        if self.phase == Phase::Live {
            self.publication.before(depth.event, &self.book, context);
        }
        self.received = Some(Received { last: depth.last, event: depth.event });
        self.hole_reason = GapReason::Sequence;
        self.publication.received(depth.first);
        match self.phase {
            Phase::Buffering => {
                // 1.
                if self.buffer.len() >= BUFFERED_EVENTS_MAX {
                    self.buffer.pop_front();
                }
                self.buffer.push_back((depth, context.now, levels.clone()));
                // 2.
                self.snapshot.want(context.now);
            }
            Phase::Joining(_) | Phase::Live => self.step(depth, context.now, levels, context),
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

    /// A snapshot arrived; `levels` is where it is decoded into.
    pub(super) fn fetched(
        &mut self,
        body: &[u8],
        levels: &mut Levels,
        context: &mut Context<'_>,
    ) -> Result<(), Rejected> {
        let last = match depth::snapshot(body, levels) {
            Ok(last) => last,
            Err(rejected) => {
                self.snapshot.failed(context.now, None);
                return Err(rejected);
            }
        };
        // 3.
        let is_too_old = match self.buffer.front() {
            Some((first, ..)) => self.chain.join(last, first) == Join::TooOld,
            None => self.received.is_some_and(|received| last < received.last),
        };
        if is_too_old {
            self.snapshot.failed(context.now, None);
            context.out.note(Note::Ignored { what: "snapshot_too_old" });
            return Ok(());
        }
        self.snapshot.succeeded();
        // 6.
        self.book.clear();
        self.apply_levels(levels);
        self.phase = Phase::Joining(last);
        while let Some((depth, received, levels)) = self.buffer.pop_front() {
            self.step(depth, received, &levels, context);
        }
        Ok(())
    }

    /// No snapshot came: asks again later.
    pub(super) fn fetch_failed(&mut self, failure: Option<&FetchFailed>, now: Timestamp) {
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
                    self.buffer.push_back((depth, received, levels.clone()));
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
        self.apply_levels(levels);
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

    /// 8.
    fn apply_levels(&mut self, levels: &Levels) {
        for level in &levels.bids {
            self.book.set_bid(*level);
        }
        for level in &levels.asks {
            self.book.set_ask(*level);
        }
    }

    /// Publishes when it is this symbol's turn.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.phase == Phase::Live {
            self.publication.tick(&self.book, context);
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

    /// The process ends: publishes what can be, declares what cannot.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        self.publish(context);
        self.publication.abandon(self.received.map(|received| received.last), context);
    }
}
