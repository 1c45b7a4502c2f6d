//! One open socket: what is subscribed on it, and whether it is alive.

use marketprism_core::Timestamp;

use super::subscriptions::Subscriptions;
use crate::phase;
use crate::session::{Effects, Link, Lost};

/// An open socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) link: Link,
    pub(super) subscriptions: Subscriptions,
    last_frame: Timestamp,
    /// Asked for a sign of life since the last frame.
    is_probed: bool,
    /// Its replacement was asked for; once is enough.
    is_given_up: bool,
}

impl Socket {
    pub(super) fn new(link: Link, now: Timestamp) -> Self {
        let subscriptions = Subscriptions::new(link);
        Self { link, subscriptions, last_frame: now, is_probed: false, is_given_up: false }
    }

    /// When a frame came last.
    pub(super) const fn last_frame(&self) -> Timestamp {
        self.last_frame
    }

    /// A frame came.
    pub(super) fn received(&mut self, now: Timestamp) {
        self.last_frame = now;
        self.is_probed = false;
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Asks for a successor, once.
    pub(super) fn give_up(&mut self, reason: Lost, out: &mut dyn Effects) {
        if !std::mem::replace(&mut self.is_given_up, true) {
            out.reconnect(self.link, reason);
        }
    }

    /// Subscribes what is due, and notices silence.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.subscriptions.tick(now, out);
        if let Some(refused) = self.subscriptions.take_refused() {
            self.give_up(refused, out);
        }
        let silence_max = phase::micros(super::SILENCE_MAX);
        let silent = now.micros_since(self.last_frame);
        if silent >= silence_max {
            self.give_up(Lost::Silence, out);
        } else if silent >= silence_max / 2 && !self.is_probed {
            self.is_probed = true;
            self.subscriptions.probe(now, out);
        }
    }
}
