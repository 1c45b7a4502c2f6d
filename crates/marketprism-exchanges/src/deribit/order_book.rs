//! One instrument's order book, by the exchange's recipe. The numbers below stand again where the code does it.
//!
//! 1. Subscribe to `book.{instrument}.100ms`. The first event is a snapshot of every level: the book is that.
//! 2. Each change names the one before: `prev_change_id` must be the socket's last `change_id`. Amounts are absolute; zero
//!    removes. The ids count over many instruments: they jump.
//! 3. A change that ends at or before the last one is old and ignored; any other is a break. What comes before the
//!    snapshot is of no use.
//! 4. After a break the channel, and no other, is unsubscribed and subscribed again on that socket: subscribing alone
//!    brings no snapshot.
//! 5. A crossed book is wrong: it is never published, and step 4 is done on every socket.
//!
//! Each socket has a chain of its own: the exchange cuts changes into frames every 100 ms, elsewhere on each. The book is
//! shared: a frame that ends later than the book is applied, for amounts are absolute and what it repeats changes nothing; one
//! that does not was brought by another socket. So while one chain holds nothing is missing, whatever the others do. When
//! none does the book begins anew with the next snapshot; what happened between is a gap.

use marketprism_core::{Contract, DataType, GapReason, Timestamp};

use super::depth::Depth;
use crate::book::Book;
use crate::context::{Context, Missing, SECOND};
use crate::decode::Levels;
use crate::publication::{Applied, Publication};
use crate::registry::SessionOptions;
use crate::requests::Ask;
use crate::session::{Link, Note, Pressure};

/// A snapshot comes within a second of subscribing, calls are paced to a few a second; after this long it is asked for again.
const SNAPSHOT_MICROS_MAX: i64 = 20 * SECOND;
/// Ids that fall although this much time has passed are no replay: the exchange began to count anew.
const RESTART_MICROS_MIN: i64 = SECOND;

/// The book of one instrument.
#[derive(Debug)]
pub(super) struct BookSync {
    book: Book,
    publication: Publication,
    /// The `change_id` the book is at; none until a snapshot, and after a break.
    at: Option<u64>,
    /// The last update published or to be published, also before a restart of this process.
    received: Option<Received>,
    /// Why updates would be missing before the next snapshot.
    hole_reason: GapReason,
    /// One for each open socket, [`crate::LINKS_MAX`] at most.
    chains: Vec<Chain>,
}

#[derive(Debug, Clone, Copy)]
struct Received {
    last: u64,
    event: Timestamp,
}

/// One socket's changes.
#[derive(Debug)]
struct Chain {
    link: Link,
    /// The last `change_id`; none until the snapshot, and after a break.
    last: Option<u64>,
    /// The snapshot, asked for by subscribing again.
    snapshot: Ask,
    /// When it was asked for.
    asked: Timestamp,
}

impl BookSync {
    /// Continues after what was published before this process started.
    pub(super) fn new(options: &SessionOptions, instrument_id: &str, seed: Option<(u64, Timestamp)>) -> Self {
        Self {
            book: Book::new(options.book_depth_max.max(options.book_depth) as usize),
            publication: Publication::new(options, instrument_id).converting(Contract::base_of_amount),
            at: None,
            received: seed.map(|(last, event)| Received { last, event }),
            hole_reason: GapReason::Disconnect,
            chains: Vec::new(),
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        self.at.is_some()
    }

    /// 1. The channel is subscribed on a new socket.
    pub(super) fn opened(&mut self, link: Link, now: Timestamp) {
        let mut snapshot = Ask::default();
        snapshot.opened();
        self.chains.push(Chain { link, last: None, snapshot, asked: now });
    }

    /// A socket is gone.
    pub(super) fn closed(&mut self, link: Link, context: &mut Context<'_>) {
        self.chains.retain(|chain| chain.link != link);
        if self.is_live() && !self.is_held() {
            self.publish(context);
            self.hole_reason = GapReason::Disconnect;
            self.discard();
        }
    }

    /// A frame of this channel could not be decoded.
    pub(super) fn undecodable(&mut self, link: Link, context: &mut Context<'_>) {
        self.broken(link, GapReason::Undecodable, context);
    }

    /// An operator wants the book anew: the snapshots that come replace it.
    pub(super) fn renew(&mut self, now: Timestamp) {
        for chain in &mut self.chains {
            chain.snapshot.want(now);
        }
    }

    /// 4. The sockets on which the channel is to be subscribed again now.
    pub(super) fn due(&mut self, now: Timestamp) -> impl Iterator<Item = Link> {
        self.chains.iter_mut().filter_map(move |chain| {
            if chain.snapshot.is_open() && now.micros_since(chain.asked) >= SNAPSHOT_MICROS_MAX {
                chain.snapshot.failed(now, None);
            }
            chain.snapshot.is_due(now).then(|| {
                chain.snapshot.opened();
                chain.asked = now;
                chain.link
            })
        })
    }

    /// An event arrived.
    pub(super) fn event(&mut self, link: Link, depth: Depth, levels: &Levels, context: &mut Context<'_>) {
        let is_restart = self.is_restart(&depth);
        let Some(chain) = self.chains.iter_mut().find(|chain| chain.link == link) else { return };
        let Some(previous) = depth.previous else {
            return self.snapshot(link, depth, is_restart, levels, context);
        };
        match chain.last {
            // 3.
            None => return context.out.note(Note::Ignored { what: "change_before_snapshot" }),
            // 2.
            Some(last) if previous == last => chain.last = Some(depth.last),
            // 3.
            Some(last) if depth.last <= last && !is_restart => {
                return context.out.note(Note::Duplicate { data_type: DataType::OrderBook });
            }
            Some(_) => return self.broken(link, GapReason::Sequence, context),
        }
        if self.at.is_none_or(|at| depth.last <= at) {
            return context.out.note(Note::Duplicate { data_type: DataType::OrderBook });
        }
        self.publication.before(depth.event, &self.book, context);
        self.apply(levels);
        if self.book.is_crossed() {
            return self.crossed(context);
        }
        self.applied(previous.saturating_add(1), &depth, context);
    }

    /// 1.
    fn snapshot(
        &mut self,
        link: Link,
        depth: Depth,
        is_restart: bool,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        for chain in &mut self.chains {
            if chain.link == link {
                chain.last = Some(depth.last);
                chain.snapshot.succeeded();
            } else if is_restart {
                chain.last = None;
                chain.snapshot.want(context.now);
            }
        }
        if !is_restart && self.at.is_some_and(|at| depth.last < at) {
            // The book is ahead by another socket; this one's changes follow.
            return context.out.note(Note::Ignored { what: "snapshot_behind_book" });
        }
        // What the book shows up to here is right.
        self.publish(context);
        self.book.clear();
        self.apply(levels);
        if self.book.is_crossed() {
            return self.crossed(context);
        }
        let is_covered = self.chains.iter().any(|chain| chain.link != link && chain.last.is_some());
        if !is_covered {
            self.declare_hole(&depth, is_restart, context);
        }
        if is_restart {
            self.received = None;
            self.publication.broken();
            self.publication.restarted(context.now);
        }
        if self.at.is_none() {
            context.out.note(Note::Synced { symbol: &context.instrument.symbol });
        }
        self.applied(depth.last, &depth, context);
    }

    /// What was not seen between the last update and a snapshot.
    fn declare_hole(&self, depth: &Depth, is_restart: bool, context: &mut Context<'_>) {
        let Some(received) = self.received else { return };
        let (from, to) = (received.last.saturating_add(1), depth.last.saturating_sub(1));
        if is_restart || from <= to {
            let missing = Missing {
                ids: (!is_restart).then_some((from, to)),
                times: Some((received.event, depth.event)),
                reason: self.hole_reason,
                filled: 0,
                detail: is_restart.then_some("change ids restarted"),
            };
            context.gap(DataType::OrderBook, missing);
        }
    }

    /// The book is right, and at an event that begins at `first`.
    fn applied(&mut self, first: u64, depth: &Depth, context: &mut Context<'_>) {
        self.at = Some(depth.last);
        self.hole_reason = GapReason::Sequence;
        context.out.note(Note::BookUpdated { symbol: &context.instrument.symbol });
        // A snapshot may be older than what an earlier socket brought: until the book is there again nothing is new.
        let seen = self.received.map_or(0, |received| received.last);
        if depth.last > seen {
            self.received = Some(Received { last: depth.last, event: depth.event });
            self.publication.received(first.max(seen.saturating_add(1)));
            let applied = Applied { last: depth.last, event: depth.event, received: context.now };
            self.publication.applied(applied, false, &self.book, context);
        }
    }

    /// 5.
    fn crossed(&mut self, context: &mut Context<'_>) {
        for chain in &mut self.chains {
            chain.last = None;
            // Not at once: where it crosses again and again this is what paces it.
            chain.snapshot.failed(context.now, None);
        }
        context.out.note(Note::Resync { symbol: &context.instrument.symbol, reason: GapReason::Sequence });
        self.hole_reason = GapReason::Sequence;
        self.discard();
    }

    /// 4. A socket's chain is broken.
    fn broken(&mut self, link: Link, reason: GapReason, context: &mut Context<'_>) {
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.link == link) {
            chain.last = None;
            chain.snapshot.want(context.now);
        }
        if self.is_held() {
            context.out.note(Note::Ignored { what: "break_of_one_socket" });
        } else if self.is_live() {
            context.out.note(Note::Resync { symbol: &context.instrument.symbol, reason });
            // What the book shows up to here is right.
            self.publish(context);
            self.hole_reason = reason;
            self.discard();
        }
    }

    /// Whether a socket's chain holds, and the book with it.
    fn is_held(&self) -> bool {
        self.chains.iter().any(|chain| chain.last.is_some())
    }

    fn discard(&mut self) {
        self.at = None;
        self.book.clear();
        self.publication.broken();
    }

    fn is_restart(&self, depth: &Depth) -> bool {
        self.received.is_some_and(|received| {
            depth.last < received.last && depth.event.micros_since(received.event) > RESTART_MICROS_MIN
        })
    }

    /// 2.
    fn apply(&mut self, levels: &Levels) {
        for level in &levels.bids {
            self.book.set_bid(*level);
        }
        for level in &levels.asks {
            self.book.set_ask(*level);
        }
    }

    /// Publishes when it is this instrument's turn.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.is_live() {
            self.publication.tick(&self.book, context);
        }
    }

    /// Publishes the book if it is right and has changed.
    fn publish(&mut self, context: &mut Context<'_>) {
        if self.is_live() {
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
