//! Depth events of a socket that is ahead of the others: what lies between is on its way, so it is waited for a little
//! before it is missing.

use std::collections::VecDeque;

use marketprism_core::Timestamp;

use super::depth::Depth;
use crate::context::SECOND;
use crate::decode::Levels;

/// Events of one symbol waiting at most: with 100 ms between two, more than sockets are apart.
const EVENTS_MAX: usize = 100;
/// How long the same events are waited for.
const PATIENCE_MICROS: i64 = 2 * SECOND;

/// A depth event that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) depth: Depth,
    pub(super) received: Timestamp,
    pub(super) levels: Levels,
}

/// The events that wait, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    events: VecDeque<Kept>,
    /// Since when the first one waits, or something that it waits for last came.
    since: Timestamp,
}

impl Ahead {
    pub(super) fn put(&mut self, event: Kept) {
        if self.events.is_empty() {
            self.since = event.received;
        }
        let at = self.events.partition_point(|other| other.depth.last < event.depth.last);
        if self.events.get(at).is_none_or(|other| other.depth.last != event.depth.last) {
            self.events.insert(at, event);
        }
    }

    /// Something came that lies before.
    pub(super) fn progressed(&mut self, now: Timestamp) {
        self.since = now;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether what lies before will not come any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let is_full = self.events.len() >= EVENTS_MAX;
        !self.events.is_empty() && (is_full || now.micros_since(self.since) >= PATIENCE_MICROS)
    }

    pub(super) fn first(&self) -> Option<&Depth> {
        self.events.front().map(|event| &event.depth)
    }

    pub(super) fn take_first(&mut self) -> Option<Kept> {
        self.events.pop_front()
    }
}
