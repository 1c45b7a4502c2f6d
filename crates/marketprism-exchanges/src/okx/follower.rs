//! One socket's stream of one book: where it stands, or what it brought before it could follow.

use std::collections::VecDeque;

use marketprism_core::Timestamp;

use super::book_frame::BookFrame;
use crate::decode::Levels;
use crate::session::Link;

/// Updates kept while a snapshot is awaited: 100 s of the channel. When there are more the oldest are forgotten, which
/// only asks for a younger snapshot.
const BUFFERED_MAX: usize = 1_000;

/// A place in the exchange's sequence, which begins anew after maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// How often it began anew.
    pub(super) epoch: u32,
    pub(super) sequence: u64,
    /// Not so in recordings older than the sequence.
    is_sequenced: bool,
}

impl Position {
    /// Where a snapshot is, or an update ends.
    pub(super) const fn of(frame: &BookFrame, epoch: u32) -> Self {
        Self { epoch, sequence: frame.sequence, is_sequenced: frame.is_sequenced }
    }

    /// Whether an update begins here. In recordings without sequences each follows on trust: there a time in ms stands
    /// for the sequence, and no frame has one.
    pub(super) fn is_followed_by(self, frame: &BookFrame) -> bool {
        frame.is_sequenced == self.is_sequenced
            && (!self.is_sequenced || frame.previous == Some(self.sequence))
    }

    /// Whether an update is the one that ended here.
    pub(super) fn is_repeated_by(self, frame: &BookFrame) -> bool {
        frame.is_sequenced && frame.sequence == self.sequence
    }

    /// Where an update that begins here ends.
    pub(super) const fn after(self, frame: &BookFrame) -> Self {
        let began_anew = frame.is_sequenced && frame.sequence < self.sequence;
        let epoch = if began_anew { self.epoch.saturating_add(1) } else { self.epoch };
        Self::of(frame, epoch)
    }
}

/// One socket's stream.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) link: Link,
    pub(super) chain: Chain,
    /// When the subscription was acknowledged that is to bring a snapshot.
    pub(super) acknowledged: Option<Timestamp>,
    /// When it is to be subscribed again.
    pub(super) again: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) enum Chain {
    /// No snapshot yet.
    Awaiting(Buffer),
    /// Its last update ended here.
    Following(Position),
}

impl Follower {
    pub(super) fn new(link: Link) -> Self {
        Self { link, chain: Chain::Awaiting(Buffer::default()), acknowledged: None, again: None }
    }

    pub(super) const fn is_following(&self) -> bool {
        matches!(self.chain, Chain::Following(_))
    }

    /// Its stream is of no use before it was subscribed again.
    pub(super) fn ask_again(&mut self, at: Timestamp) {
        self.chain = Chain::Awaiting(Buffer::default());
        self.acknowledged = None;
        self.again = Some(at);
    }

    /// It follows from here on; gives back what was kept.
    pub(super) fn follow(&mut self, position: Position) -> VecDeque<Buffered> {
        self.again = None;
        match std::mem::replace(&mut self.chain, Chain::Following(position)) {
            Chain::Awaiting(buffer) => buffer.updates,
            Chain::Following(_) => VecDeque::new(),
        }
    }

    /// Where the first update kept begins, and the last one.
    pub(super) fn kept(&self) -> Option<(u64, BookFrame)> {
        let Chain::Awaiting(buffer) = &self.chain else { return None };
        Some((buffer.updates.front()?.frame.previous?, buffer.updates.back()?.frame))
    }

    /// Where the first update kept ends.
    pub(super) fn first_kept(&self) -> Option<u64> {
        match &self.chain {
            Chain::Awaiting(buffer) => buffer.updates.front().map(|first| first.frame.sequence),
            Chain::Following(_) => None,
        }
    }
}

/// Updates without a hole between them.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    updates: VecDeque<Buffered>,
}

#[derive(Debug)]
pub(super) struct Buffered {
    pub(super) frame: BookFrame,
    pub(super) levels: Levels,
}

impl Buffer {
    pub(super) fn push(&mut self, frame: BookFrame, levels: &Levels) {
        // Where the exchange counts anew, or an update is missing, what was kept joins nothing any more.
        let began_anew = frame.previous.is_none_or(|previous| frame.sequence < previous);
        let follows = self.updates.back().is_none_or(|last| frame.previous == Some(last.frame.sequence));
        if began_anew || !follows {
            self.updates.clear();
        }
        if began_anew {
            return;
        }
        if self.updates.len() >= BUFFERED_MAX {
            self.updates.pop_front();
        }
        self.updates.push_back(Buffered { frame, levels: levels.clone() });
    }
}
