//! When a book is published, and what the message says: shared by every exchange's book.
//!
//! Turns are aligned to the exchange's clock: the book is published as it was at the end of each interval of event time.
//! Two collectors, or two sockets, that see the same updates so publish the same book under the same id, and either
//! may die. Each instrument's intervals begin at a place of their own, so that not all books come at once. Every update
//! received is counted in exactly one message, or lies in a declared gap.

use std::borrow::Cow;

use marketprism_core::message::{Level, OrderBook};
use marketprism_core::{Contract, DataType, Decimal, GapReason, Instrument, SnapshotOf, Source, Timestamp};

use crate::book::Book;
use crate::context::{Context, Missing};
use crate::phase;
use crate::registry::SessionOptions;
use crate::session::{Note, Pressure};
use crate::used_ids::UsedIds;

/// How long after the end of an interval its book is published when no later update says that it is over: later than
/// an update still on its way would come.
const GRACE_MICROS: i64 = 200_000;
/// Under pressure books are published at every so many turns …
pub(crate) const SLOW_TURNS: i64 = 4;
/// … and no more often than this, where they are published at every update otherwise.
const SLOW_INTERVAL_MICROS: i64 = 1_000_000;

/// An update that is in the book.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    /// The book's sequence after it.
    pub(crate) last: u64,
    pub(crate) event: Timestamp,
    pub(crate) received: Timestamp,
}

/// Base units of a level's quantity at its price; `None` where that does not fit.
pub(crate) type ToBase = fn(&Contract, Decimal, Decimal) -> Option<Decimal>;

/// One instrument's published books.
#[derive(Debug)]
pub(crate) struct Publication {
    depth: u32,
    interval_micros: i64,
    /// Where this instrument's intervals begin.
    phase_micros: i64,
    pressure: Pressure,
    /// Updates received and not published yet, and where they begin.
    unpublished: u64,
    unpublished_from: Option<u64>,
    applied: Option<Applied>,
    /// The chain of published messages; none after a resync.
    published: Option<u64>,
    used_ids: UsedIds,
    /// How the local book's quantities become base units, where it has contracts.
    to_base: Option<ToBase>,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Publication {
    pub(crate) fn new(options: &SessionOptions, instrument_id: &str) -> Self {
        let interval_micros = phase::micros(options.book_publish_interval);
        Self {
            depth: options.book_depth,
            interval_micros,
            phase_micros: phase::of(instrument_id, interval_micros),
            pressure: Pressure::None,
            unpublished: 0,
            unpublished_from: None,
            applied: None,
            published: None,
            used_ids: UsedIds::default(),
            to_base: None,
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }

    /// The local book has contracts or amounts: only what is published is converted.
    pub(crate) fn converting(self, to_base: ToBase) -> Self {
        Self { to_base: Some(to_base), ..self }
    }

    pub(crate) fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// An update came that begins at this sequence; it will be in a message, or in a gap.
    pub(crate) fn received(&mut self, first: u64) {
        self.unpublished += 1;
        self.unpublished_from.get_or_insert(first);
    }

    /// Before an update of this time is applied to a right book: publishes the book as it is when the update lies in a
    /// later interval.
    pub(crate) fn before(&mut self, event: Timestamp, book: &Book, context: &mut Context<'_>) {
        if let Some(applied) = self.applied
            && self.interval() > 0
            && self.turn(event) > self.turn(applied.event)
        {
            self.publish_unless_held(book, context);
        }
    }

    /// After an update was applied and the book found right. While a buffer is replayed, all but its last update come
    /// with `more_follow`: those received are counted, so no book without them is published.
    pub(crate) fn applied(
        &mut self,
        applied: Applied,
        more_follow: bool,
        book: &Book,
        context: &mut Context<'_>,
    ) {
        self.applied = Some(applied);
        if self.interval() == 0 && !more_follow {
            self.publish_unless_held(book, context);
        }
    }

    /// Publishes a right book whose interval is over, where no later update said so.
    pub(crate) fn tick(&mut self, book: &Book, context: &mut Context<'_>) {
        let Some(applied) = self.applied.filter(|_| self.unpublished > 0) else { return };
        let interval = self.interval();
        let into = (applied.event.as_micros() - self.phase_micros).rem_euclid(interval.max(1));
        // By the clock of the receiver, so that the exchange's may be wrong.
        let over = applied.received.saturating_add_micros(interval - into + GRACE_MICROS);
        if context.now >= over {
            self.publish_unless_held(book, context);
        }
    }

    fn publish_unless_held(&mut self, book: &Book, context: &mut Context<'_>) {
        if self.pressure < Pressure::HoldBooks {
            self.publish(book, context);
        }
    }

    /// Publishes a right book now if it has changed. One whose best levels are unknown waits until they are told.
    pub(crate) fn publish(&mut self, book: &Book, context: &mut Context<'_>) {
        let (Some(applied), true) = (self.applied, self.unpublished > 0) else { return };
        if !book.is_known_to(1) {
            return;
        }
        if self.used_ids.is_barred(applied.last, context.now) {
            return;
        }
        let depth = self.depth as usize;
        let is_whole = take(&mut self.bids, book.bids().take(depth), self.to_base, context.instrument)
            && take(&mut self.asks, book.asks().take(depth), self.to_base, context.instrument);
        if !is_whole {
            return context.out.note(Note::Ignored { what: "book_out_of_range" });
        }
        self.used_ids.publish(applied.last, context.now);
        let mut origin = context.origin(Source::Ws);
        origin.received = applied.received;
        context.out.emit(
            OrderBook::new(
                origin,
                applied.event,
                Cow::Borrowed(&self.bids),
                Cow::Borrowed(&self.asks),
                applied.last,
                self.published,
                self.unpublished,
                SnapshotOf::Top,
                self.depth,
            )
            .into(),
        );
        self.published = Some(applied.last);
        self.unpublished = 0;
        self.unpublished_from = None;
    }

    /// The exchange's sequence fell: ids that were used lately are left out, and their updates counted in the next message.
    pub(crate) fn restarted(&mut self, now: Timestamp) {
        self.used_ids.restart(now);
    }

    /// The book was thrown away: the chain of messages begins anew. Updates received and not published stay counted, for
    /// the next book contains them.
    pub(crate) fn broken(&mut self) {
        self.applied = None;
        self.published = None;
    }

    /// The end: declares what was received and cannot be published. `last` is the last sequence received.
    pub(crate) fn abandon(&mut self, last: Option<u64>, context: &mut Context<'_>) {
        if let (Some(from), Some(last)) = (self.unpublished_from.take(), last) {
            let missing = Missing {
                ids: Some((from.min(last), last)),
                times: None,
                reason: GapReason::Shutdown,
                filled: 0,
                detail: Some("stopped before the book was synchronised"),
            };
            context.gap(DataType::OrderBook, missing);
        }
        self.unpublished = 0;
    }

    fn interval(&self) -> i64 {
        match (self.pressure, self.interval_micros) {
            (Pressure::None, interval) => interval,
            (_, 0) => SLOW_INTERVAL_MICROS,
            (_, interval) => interval.saturating_mul(SLOW_TURNS),
        }
    }

    fn turn(&self, event: Timestamp) -> i64 {
        (event.as_micros() - self.phase_micros).div_euclid(self.interval().max(1))
    }
}

/// Copies levels in base units; false where one does not fit.
fn take(
    into: &mut Vec<Level>,
    levels: impl Iterator<Item = Level>,
    to_base: Option<ToBase>,
    instrument: &Instrument,
) -> bool {
    into.clear();
    match (to_base, &instrument.contract) {
        (Some(to_base), Some(contract)) => {
            for Level { price, quantity } in levels {
                let Some(quantity) = to_base(contract, quantity, price) else { return false };
                into.push(Level { price, quantity });
            }
        }
        _ => into.extend(levels),
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recorded::{Recorded, at, instrument};
    use crate::registry::BookMode;

    fn options(interval: Duration) -> SessionOptions {
        SessionOptions {
            trade_stream: None,
            book_depth: 5,
            book_depth_max: 100,
            book_publish_interval: interval,
            snapshot_levels: 100,
            book_mode: BookMode::Incremental,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        }
    }

    /// A collector that began with this update, and gets each so late; updates happen at these milliseconds. Gives the
    /// messages' last update and count.
    fn collect(from: usize, millis: &[i64], delay: impl Fn(usize) -> i64) -> Vec<(u64, u64)> {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let mut publication = Publication::new(&options(Duration::from_secs(1)), "BTCUSDT");
        let book = Book::new(10);
        let mut updates = millis.iter().copied().enumerate().skip(from).peekable();
        for now in (0..millis[millis.len() - 1] + 3_000).step_by(10) {
            let context = &mut recorded.context(&instrument, at(now));
            while let Some((id, event)) = updates.next_if(|(id, event)| event + delay(*id) <= now) {
                let (last, event) = (id as u64, at(event));
                publication.before(event, &book, context);
                publication.received(last);
                publication.applied(Applied { last, event, received: at(now) }, false, &book, context);
            }
            publication.tick(&book, context);
        }
        let told = |message: &serde_json::Value| {
            (message["last_update_id"].as_u64().unwrap(), message["update_count"].as_u64().unwrap())
        };
        recorded.messages.iter().map(told).collect()
    }

    #[test]
    fn two_collectors_publish_the_same_books() {
        // Ten a second, then a pause, then few.
        let millis: Vec<i64> = (0..50).map(|at| at * 100).chain([8_000, 9_050, 12_001, 12_950]).collect();
        let one = collect(0, &millis, |_| 20);
        let other = collect(7, &millis, |id| 90 + 10 * (id as i64 % 9));
        assert!(one.len() >= 8, "{one:?}");
        assert_eq!(one.iter().map(|(_, count)| count).sum::<u64>(), millis.len() as u64);
        // The second came a little later, and then sees the same.
        let ids = |told: &[(u64, u64)]| told.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert!(ids(&one).ends_with(&ids(&other)), "{one:?} {other:?}");
        assert!(other.len() + 1 >= one.len());
    }

    #[test]
    fn a_book_is_published_when_its_interval_is_over_and_once() {
        let told = collect(0, &[0], |_| 0);
        assert_eq!(told, [(0, 1)]);
    }
}
