//! One instrument's order book over all sockets, by the exchange's recipe. The numbers below stand again where the code
//! does it.
//!
//! 1. Subscribe to `books` on each socket. What comes before its snapshot is kept; the snapshot makes it needless.
//! 2. A snapshot (`prevSeqId` -1) not older than the book replaces it; an older one does not, its socket's updates will
//!    catch up.
//! 3. An update must follow the one before on its socket: `prevSeqId` is the last `seqId`. It is applied when it ends after
//!    the book, though it may begin before the book's end, where sockets cut the updates differently: quantities are
//!    absolute. One that ends at or before the book's end was brought by another socket.
//! 4. A keep-alive (`prevSeqId` equals `seqId`, no levels) says once a minute that nothing changed.
//! 5. After maintenance the exchange counts anew: one update whose `seqId` is below its `prevSeqId`. It is applied like any
//!    other. Each socket brings it in its turn, so positions are compared by how often that happened (the epoch) first.
//!    Message ids fall with it; a book whose id the broker still remembers is left out (`crate::used_ids`), and its
//!    updates are counted in the next one.
//! 6. The last update once more is ignored. Anything else is a break of that socket's stream: unsubscribe and subscribe
//!    this instrument, on this socket. While another socket follows the book, nothing is missing. Where none does, the
//!    book is thrown away; what lies between its end and the next snapshot is one gap, declared when that snapshot tells
//!    where it ends.
//! 7. A crossed book, or one whose checksum is wrong (recordings; today's is 0), is never published: all sockets
//!    subscribe again, and ever later if it does not help, as in a call auction before trading.
//! 8. No snapshot within 5 s of the acknowledgement: REST is asked for one. It must not be older than the first update
//!    kept; those it contains are dropped; the first one applied begins at or before it. A socket joins a book that is
//!    right in the same way, so a successor needs no snapshot.
//!
//! The book holds contracts where the exchange trades contracts; messages have base units. Recordings older than the
//! sequence ids follow on trust and are proved by their checksums; they have one socket.

use marketprism_core::{Contract, DataType, GapReason, Timestamp};

use super::book_frame::BookFrame;
use super::checksum;
use super::follower::{Chain, Follower, Position};
use crate::book::Book;
use crate::context::{Context, Missing, SECOND};
use crate::decode::Levels;
use crate::publication::{Applied, Publication};
use crate::registry::SessionOptions;
use crate::requests::Ask;
use crate::session::{Link, Note, Pressure};

/// 7. A book that does not come right is asked for again after 1 s, then twice as long each time …
const AGAIN_MICROS_MIN: i64 = SECOND;
/// … up to this: each time costs two of a socket's 480 operations an hour.
const AGAIN_MICROS_MAX: i64 = 60 * SECOND;
/// Sockets' clocks differ by less: a frame that is later by this much is later.
const CERTAIN_MICROS: i64 = SECOND;

/// The book of one instrument and who follows it.
#[derive(Debug)]
pub(super) struct BookSync {
    book: Book,
    publication: Publication,
    pub(super) followers: Vec<Follower>,
    /// Where the book stands; `None` while it is not right.
    pub(super) position: Option<Position>,
    /// The last one there was.
    pub(super) epoch: u32,
    /// End of what was in a right book, or was published before a restart.
    pub(super) received: Option<(u64, Timestamp)>,
    /// While a snapshot older than that is caught up with: where what was in a right book ends.
    known_to: Option<u64>,
    /// Why updates are missing after that, when they are.
    hole: (GapReason, Option<&'static str>),
    /// How often it was wrong of late, and when last.
    failures: u32,
    failed: Option<Timestamp>,
    /// A snapshot from REST.
    pub(super) snapshot: Ask,
}

impl BookSync {
    /// Continues after what was published before this process started.
    pub(super) fn new(options: &SessionOptions, instrument_id: &str, seed: Option<(u64, Timestamp)>) -> Self {
        let levels_max = options.book_depth_max.max(options.book_depth) as usize;
        Self {
            book: Book::new(levels_max),
            publication: Publication::new(options, instrument_id).converting(Contract::base_of_contracts),
            followers: Vec::new(),
            position: None,
            epoch: 0,
            received: seed,
            known_to: None,
            hole: (GapReason::Disconnect, None),
            failures: 0,
            failed: None,
            snapshot: Ask::default(),
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        self.position.is_some()
    }

    pub(super) fn opened(&mut self, link: Link) {
        self.followers.push(Follower::new(link));
    }

    pub(super) fn acknowledged(&mut self, link: Link, now: Timestamp) {
        if let Some(follower) = self.follower(link) {
            follower.acknowledged = Some(now);
        }
    }

    pub(super) fn closed(&mut self, link: Link, context: &mut Context<'_>) {
        self.followers.retain(|follower| follower.link != link);
        if !self.is_followed() {
            self.lose(GapReason::Disconnect, None, context);
        }
    }

    /// The sockets on which this instrument is to be asked for again now.
    pub(super) fn take_broken(&mut self, now: Timestamp) -> impl Iterator<Item = Link> {
        self.followers.iter_mut().filter_map(move |follower| {
            follower.again.take_if(|again| *again <= now)?;
            follower.acknowledged = None;
            Some(follower.link)
        })
    }

    pub(super) fn follower(&mut self, link: Link) -> Option<&mut Follower> {
        self.followers.iter_mut().find(|follower| follower.link == link)
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followers.iter().any(Follower::is_following)
    }

    /// A snapshot was pushed.
    pub(super) fn snapshot(
        &mut self,
        link: Link,
        frame: BookFrame,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        let mut position = Position::of(&frame, self.epoch);
        let mut is_newer = true;
        if let Some(book) = self.position {
            let is_later = self.is_certainly_later(frame.event);
            if frame.sequence < book.sequence && is_later {
                // 5. The exchange counts anew, and this socket is the first to say so.
                position.epoch += 1;
                self.publication.restarted(context.now);
            }
            // 2.
            is_newer = position > book;
        }
        let Some(follower) = self.follower(link) else { return };
        follower.follow(position);
        if !is_newer {
            return context.out.note(Note::Duplicate { data_type: DataType::OrderBook });
        }
        self.replace(position, frame, levels, context);
    }

    /// The book becomes what a snapshot says.
    pub(super) fn replace(
        &mut self,
        position: Position,
        frame: BookFrame,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        let was_live = self.is_live();
        // The book as it was received last, by an earlier socket or process, is no update.
        let is_news = self.received.is_none_or(|(last, _)| last != frame.sequence);
        if was_live {
            self.publication.before(frame.event, &self.book, context);
        } else {
            self.declare_hole(frame, context);
        }
        self.book.clear();
        self.snapshot = Ask::default();
        if self.apply(position, frame, levels, is_news, context) && !was_live {
            context.out.note(Note::Synced { symbol: &context.instrument.symbol });
        }
    }

    /// 6. What lies between the last right book and this snapshot.
    fn declare_hole(&mut self, frame: BookFrame, context: &mut Context<'_>) {
        let Some((last, event)) = self.received.filter(|(last, _)| *last != frame.sequence) else { return };
        if frame.sequence < last && !self.is_certainly_later(frame.event) {
            // It comes from a server that is a little behind: its updates lead on to what is known, and beyond.
            self.known_to = Some(last);
            return;
        }
        let (reason, detail) = self.hole;
        let ids = (last < frame.sequence).then(|| (last.saturating_add(1), frame.sequence));
        let detail = detail.or_else(|| ids.is_none().then_some("sequence restarted"));
        let times = Some((event, frame.event));
        context.gap(DataType::OrderBook, Missing { ids, times, reason, filled: 0, detail });
        // What is missing after the snapshot, should it be wrong, is another gap.
        self.received = Some((frame.sequence, frame.event));
        if ids.is_none() {
            self.publication.restarted(context.now);
        }
    }

    /// An update was pushed.
    pub(super) fn update(
        &mut self,
        link: Link,
        frame: BookFrame,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        let book = self.position;
        let is_later = self.is_certainly_later(frame.event);
        let Some(follower) = self.follower(link) else { return };
        match &mut follower.chain {
            Chain::Following(position) if position.is_followed_by(&frame) => {
                // 3. and 5.
                *position = position.after(&frame);
                if let Some(book) = book
                    && is_later
                    && position.epoch < book.epoch
                    && frame.previous.is_some_and(|previous| previous <= book.sequence)
                {
                    // It has counted anew since before it was opened.
                    position.epoch = book.epoch;
                }
                let position = *position;
                self.advance(position, frame, levels, context);
            }
            Chain::Following(position) if position.is_repeated_by(&frame) => {
                context.out.note(Note::Duplicate { data_type: DataType::OrderBook });
            }
            Chain::Following(_) => self.broken(link, GapReason::Sequence, context),
            // 1.
            Chain::Awaiting(buffer) => {
                buffer.push(frame, levels);
                self.join(link, context);
            }
        }
    }

    /// A frame of this instrument could not be decoded: its socket's stream is torn.
    pub(super) fn undecodable(&mut self, link: Link, context: &mut Context<'_>) {
        self.broken(link, GapReason::Undecodable, context);
    }

    /// 6.
    fn broken(&mut self, link: Link, reason: GapReason, context: &mut Context<'_>) {
        let again = context.now;
        let Some(follower) = self.follower(link) else { return };
        follower.ask_again(again);
        if !self.is_followed() {
            self.lose(reason, None, context);
        }
    }

    /// The book is no longer followed: publishes what it is, and throws it away.
    pub(super) fn lose(
        &mut self,
        reason: GapReason,
        detail: Option<&'static str>,
        context: &mut Context<'_>,
    ) {
        if self.is_live() {
            self.publication.publish(&self.book, context);
            self.discard(reason, detail, context);
        }
    }

    fn discard(&mut self, reason: GapReason, detail: Option<&'static str>, context: &mut Context<'_>) {
        if reason != GapReason::Disconnect {
            context.out.note(Note::Resync { symbol: &context.instrument.symbol, reason });
        }
        self.hole = (reason, detail);
        self.position = None;
        self.known_to = None;
        self.book.clear();
        self.publication.broken();
    }

    /// 3. An update of a stream without a hole.
    pub(super) fn advance(
        &mut self,
        position: Position,
        frame: BookFrame,
        levels: &Levels,
        context: &mut Context<'_>,
    ) {
        let Some(book) = self.position else { return };
        if position <= book && frame.is_sequenced {
            let is_keep_alive = frame.previous == Some(frame.sequence);
            return context.out.note(match is_keep_alive {
                // 4.
                true => Note::Ignored { what: "keep_alive" },
                false => Note::Duplicate { data_type: DataType::OrderBook },
            });
        }
        self.publication.before(frame.event, &self.book, context);
        if position.epoch > book.epoch {
            self.publication.restarted(context.now);
        }
        if self.apply(position, frame, levels, true, context) {
            context.out.note(Note::BookUpdated { symbol: &context.instrument.symbol });
        }
    }

    /// Applies levels and checks the book; false when it is wrong, and thrown away.
    fn apply(
        &mut self,
        position: Position,
        frame: BookFrame,
        levels: &Levels,
        is_news: bool,
        context: &mut Context<'_>,
    ) -> bool {
        for level in &levels.bids {
            self.book.set_bid(*level);
        }
        for level in &levels.asks {
            self.book.set_ask(*level);
        }
        // 7.
        let is_right = match frame.checksum {
            _ if self.book.is_crossed() => Err("the book crossed"),
            Some(checksum) if checksum::of(&self.book) != checksum => Err("wrong checksum"),
            _ => Ok(()),
        };
        if let Err(detail) = is_right {
            self.wrong(detail, context);
            return false;
        }
        let is_behind =
            position.epoch == self.epoch && self.known_to.is_some_and(|known_to| frame.sequence <= known_to);
        self.position = Some(position);
        self.epoch = position.epoch;
        if is_behind && !self.is_certainly_later(frame.event) {
            return true;
        }
        if is_behind {
            // It was not behind: the exchange had counted anew.
            self.declare_hole(frame, context);
        }
        self.known_to = None;
        self.received = Some((frame.sequence, frame.event));
        if is_news {
            self.publication.received(frame.sequence);
        }
        let applied = Applied { last: frame.sequence, event: frame.event, received: context.now };
        self.publication.applied(applied, false, &self.book, context);
        true
    }

    /// 7.
    fn wrong(&mut self, detail: &'static str, context: &mut Context<'_>) {
        let before = self.failed.replace(context.now);
        if before.is_none_or(|before| context.now.micros_since(before) > 2 * AGAIN_MICROS_MAX) {
            self.failures = 0;
        }
        let wait = AGAIN_MICROS_MIN.saturating_mul(1 << self.failures.min(16)).min(AGAIN_MICROS_MAX);
        self.failures = self.failures.saturating_add(1);
        self.discard(GapReason::Sequence, Some(detail), context);
        let again = context.now.saturating_add_micros(wait);
        self.followers.iter_mut().for_each(|follower| follower.ask_again(again));
    }

    /// Whether a time is certainly later than the book's.
    pub(super) fn is_certainly_later(&self, event: Timestamp) -> bool {
        self.received.is_some_and(|(_, last)| event.micros_since(last) > CERTAIN_MICROS)
    }

    /// An operator asked for the book to be built anew.
    pub(super) fn resync(&mut self, context: &mut Context<'_>) {
        self.lose(GapReason::Sequence, Some("asked for by an operator"), context);
        let now = context.now;
        self.followers.iter_mut().for_each(|follower| follower.ask_again(now));
    }

    /// Publishes when it is this instrument's turn.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.is_live() {
            self.publication.tick(&self.book, context);
        }
    }

    pub(super) fn set_pressure(&mut self, pressure: Pressure) {
        self.publication.set_pressure(pressure);
    }

    /// The end: publishes what can be, declares what cannot.
    pub(super) fn drain(&mut self, context: &mut Context<'_>) {
        if self.is_live() {
            self.publication.publish(&self.book, context);
        } else if let (Some((_, event)), (reason, detail)) = (self.received, self.hole)
            && reason != GapReason::Disconnect
        {
            let times = Some((event, context.now));
            context.gap(DataType::OrderBook, Missing { ids: None, times, reason, filled: 0, detail });
        }
        self.publication.abandon(self.received.map(|(last, _)| last), context);
    }
}
