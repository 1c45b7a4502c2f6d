//! How a socket follows a book without a snapshot of its own: step 8 of the recipe in [`super::order_book`].

use marketprism_core::{GapReason, Timestamp};

use super::book_frame::BookFrame;
use super::follower::{Buffered, Follower, Position};
use super::order_book::BookSync;
use crate::context::{Context, SECOND};
use crate::decode::Levels;
use crate::session::{FetchFailed, Link, Note};

/// Snapshots come with the acknowledgement or not at all.
const SNAPSHOT_MICROS_MAX: i64 = 5 * SECOND;

impl BookSync {
    /// A socket without a snapshot of its own follows the book where its updates allow it.
    pub(super) fn join(&mut self, link: Link, context: &mut Context<'_>) {
        let Some(book) = self.position else { return };
        let Some((begin, last)) = self.follower(link).and_then(|follower| follower.kept()) else { return };
        if begin > book.sequence {
            // It is ahead of the sockets that follow, or updates between it and the book were never sent.
            if !self.is_followed() {
                self.lose(GapReason::Sequence, None, context);
            }
            return;
        }
        if last.sequence <= book.sequence && self.is_certainly_later(last.event) {
            // It has counted anew, and the sockets that follow do not know it yet.
            return;
        }
        let end = Position::of(&last, book.epoch);
        let kept = self.follower(link).map(|follower| follower.follow(end)).unwrap_or_default();
        for Buffered { frame, levels } in kept {
            let position = Position::of(&frame, book.epoch);
            self.advance(position, frame, &levels, context);
        }
    }

    /// REST answered.
    pub(super) fn fetched(&mut self, frame: BookFrame, levels: &Levels, context: &mut Context<'_>) {
        if self.is_live() {
            return self.snapshot.succeeded();
        }
        let first = self.followers.iter().filter_map(Follower::first_kept).min();
        // Nor older than what is known, unless the exchange counts anew.
        let known = self.received.map(|(last, _)| last).filter(|_| !self.is_certainly_later(frame.event));
        if first.max(known).is_some_and(|first| frame.sequence < first) {
            self.snapshot.failed(context.now, None);
            return context.out.note(Note::Ignored { what: "snapshot_too_old" });
        }
        let position = Position::of(&frame, self.epoch);
        self.replace(position, frame, levels, context);
        let links: Vec<Link> = self.followers.iter().map(|follower| follower.link).collect();
        for link in links {
            self.join(link, context);
        }
    }

    /// REST brought no snapshot: asks again later.
    pub(super) fn fetch_failed(&mut self, failure: Option<&FetchFailed>, now: Timestamp) {
        self.snapshot.failed(now, failure);
    }

    /// Whether REST is to be asked for a snapshot now.
    pub(super) fn is_snapshot_due(&mut self, now: Timestamp) -> bool {
        let waits_in_vain = |follower: &Follower| {
            follower.acknowledged.is_some_and(|since| now.micros_since(since) >= SNAPSHOT_MICROS_MAX)
        };
        if self.is_live() || !self.followers.iter().any(waits_in_vain) {
            return false;
        }
        self.snapshot.want(now);
        self.snapshot.is_due(now)
    }
}
