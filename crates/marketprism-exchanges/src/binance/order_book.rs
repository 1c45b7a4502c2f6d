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

use marketprism_core::{DataType, GapReason, Timestamp};

use super::ahead::{Ahead, Kept};
use super::chain::{Order, Received};
use super::depth::Depth;
use super::local_book::LocalBook;
use super::market::{Chain, Market};
use crate::context::{Context, Missing};
use crate::decode::Levels;
use crate::registry::SessionOptions;
use crate::session::Note;

/// The book of one symbol: its events in order, whichever socket brings them (step 7), and what is built of them.
#[derive(Debug)]
pub(super) struct OrderBook {
    chain: Chain,
    pub(super) local: LocalBook,
    ahead: Ahead,
    /// The last event taken, or the last one published before a restart.
    received: Option<Received>,
    /// Why events would be missing before the next one.
    hole_reason: GapReason,
    /// Sockets that bring the stream.
    links: usize,
}

impl OrderBook {
    /// Continues after what was published before this process started.
    pub(super) fn new(
        market: &'static Market,
        options: &SessionOptions,
        instrument_id: &str,
        seed: Option<(u64, Timestamp)>,
    ) -> Self {
        Self {
            chain: market.chain,
            local: LocalBook::new(market, options, instrument_id, seed.map(|(last, _)| last)),
            ahead: Ahead::default(),
            received: seed.map(|(last, event)| Received { last, event }),
            hole_reason: GapReason::Disconnect,
            links: 0,
        }
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
            self.local.closed(context);
        }
    }

    /// A frame of this stream could not be decoded: unless another socket brings it, the book can no longer be right.
    pub(super) fn undecodable(&mut self, context: &mut Context<'_>) {
        if self.hole_reason == GapReason::Sequence {
            self.hole_reason = GapReason::Undecodable;
        }
        if self.links <= 1 {
            self.local.publish(context);
            self.local.resync(GapReason::Undecodable, context);
        }
    }

    /// An event arrived.
    pub(super) fn event(&mut self, depth: Depth, levels: &Levels, context: &mut Context<'_>) {
        // 7.
        match self.chain.order(self.received, &depth) {
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
                self.local.restarted(context.now);
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
            let order = self.chain.order(self.received, first);
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
        let missing = match self.chain.order(self.received, &depth) {
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
        self.received = Some(Received { last: depth.last, event: depth.event });
        self.hole_reason = GapReason::Sequence;
        self.ahead.progressed(context.now);
        self.local.event(depth, received, levels, context);
    }

    /// Events are missing before this one: declares them and begins anew.
    fn broken(&mut self, ids: Option<(u64, u64)>, depth: &Depth, context: &mut Context<'_>) {
        // What the book shows up to here is right.
        self.local.publish(context);
        let reason = self.hole_reason;
        let missing = Missing {
            ids,
            times: self.received.map(|received| (received.event, depth.event)),
            reason,
            filled: 0,
            detail: ids.is_none().then_some("update ids restarted"),
        };
        context.gap(DataType::OrderBook, missing);
        self.local.resync(reason, context);
    }

    /// Publishes when it is this symbol's turn, gives up waiting.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.ahead.is_over(context.now) {
            self.skip_hole(context);
        }
        self.local.tick(context);
    }

    /// The process ends, or the symbol is no longer wanted: publishes what can be, declares what cannot.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        self.stop_waiting(context);
        self.local.drain(context);
    }
}
