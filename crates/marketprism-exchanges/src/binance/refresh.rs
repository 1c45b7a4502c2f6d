//! A live book learns the levels beyond those it knows: step 10 of the recipe in [`super::order_book`].
//!
//! A snapshot shows a bounded number of levels; when the price moves away from them, those at the far end are unknown. A
//! younger snapshot tells them. The book is exact afterwards and loses nothing: the events since it was asked for are
//! kept, and those it does not contain are applied again.

use std::collections::VecDeque;

use marketprism_core::Timestamp;

use super::chain::Join;
use super::depth::Depth;
use super::market::Chain;
use crate::book::Book;
use crate::context::SECOND;
use crate::decode::Levels;

/// A book asks for more levels no more often than this: each snapshot costs weight.
const PAUSE_MICROS_MIN: i64 = 30 * SECOND;
/// Events kept while the snapshot is on its way; with more it is asked for anew.
const EVENTS_MAX: usize = 1_000;

/// One book's refreshing.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    last: Timestamp,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    None,
    /// A snapshot was asked for.
    Asked(VecDeque<(Depth, Levels)>),
    /// It came and ends with this update, after the last event received.
    Early(u64, Levels),
}

/// A snapshot of at most `limit` levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot<'l> {
    pub(super) last: u64,
    pub(super) levels: &'l Levels,
    pub(super) limit: usize,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was asked for.
    Unasked,
    /// It is older than the events kept.
    TooOld,
    /// The book knows more.
    Done,
    /// It waits for the event that reaches it.
    Waits,
}

impl Refresh {
    /// The book has its snapshot of now.
    pub(super) fn began(&mut self, now: Timestamp) {
        *self = Self { last: now, state: State::None };
    }

    /// Whether to ask for a snapshot now, because the book does not know this many levels.
    pub(super) fn asks(&mut self, book: &Book, depth: usize, now: Timestamp) -> bool {
        let is_due = matches!(self.state, State::None) && now.micros_since(self.last) >= PAUSE_MICROS_MIN;
        if !is_due || book.is_known_to(depth) {
            return false;
        }
        *self = Self { last: now, state: State::Asked(VecDeque::new()) };
        true
    }

    /// An event was applied to the live book.
    pub(super) fn event(&mut self, depth: Depth, levels: &Levels, limit: usize, book: &mut Book) {
        match &mut self.state {
            State::None => {}
            State::Asked(events) => {
                if events.len() >= EVENTS_MAX {
                    events.pop_front();
                }
                events.push_back((depth, levels.clone()));
            }
            State::Early(last, snapshot) if depth.last >= *last => {
                rebuild(book, snapshot, limit, std::iter::once(levels));
                self.state = State::None;
            }
            State::Early(..) => {}
        }
    }

    /// The snapshot came.
    pub(super) fn snapshot(
        &mut self,
        chain: Chain,
        received: u64,
        Snapshot { last, levels, limit }: Snapshot<'_>,
        book: &mut Book,
    ) -> Outcome {
        let State::Asked(events) = &mut self.state else { return Outcome::Unasked };
        let is_too_old = match events.front() {
            Some((first, _)) => chain.join(last, first) == Join::TooOld,
            None => last < received,
        };
        if is_too_old {
            return Outcome::TooOld;
        }
        if last > received {
            self.state = State::Early(last, levels.clone());
            return Outcome::Waits;
        }
        let missed = events.iter().filter(|(depth, _)| chain.join(last, depth) != Join::Contained);
        rebuild(book, levels, limit, missed.map(|(_, levels)| levels));
        self.state = State::None;
        Outcome::Done
    }
}

fn rebuild<'e>(book: &mut Book, snapshot: &Levels, limit: usize, missed: impl Iterator<Item = &'e Levels>) {
    book.clear();
    apply(book, snapshot);
    book.set_known(limit);
    missed.for_each(|levels| apply(book, levels));
}

/// Step 8.
pub(super) fn apply(book: &mut Book, levels: &Levels) {
    for level in &levels.bids {
        book.set_bid(*level);
    }
    for level in &levels.asks {
        book.set_ask(*level);
    }
}
