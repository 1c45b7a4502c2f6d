//! One open socket: its subscriptions, its signs of life, whether its replacement was asked for.

use marketprism_core::Timestamp;

use super::SILENCE_MAX;
use super::subscriptions::Subscriptions;
use crate::phase::micros;
use crate::session::{Effects, Link, Lost};

/// One open socket.
#[derive(Debug)]
pub(super) struct Socket {
    link: Link,
    last_frame: Timestamp,
    /// Its replacement was asked for; once is enough.
    is_given_up: bool,
    pub(super) subscriptions: Subscriptions,
}

impl Socket {
    pub(super) fn new(link: Link, now: Timestamp, out: &mut dyn Effects) -> Self {
        let subscriptions = Subscriptions::new(link, now, out);
        Self { link, last_frame: now, is_given_up: false, subscriptions }
    }

    /// When anything came last.
    pub(super) const fn last_frame(&self) -> Timestamp {
        self.last_frame
    }

    /// Anything arrived; a still market brings heartbeats.
    pub(super) fn received(&mut self, now: Timestamp) {
        self.last_frame = now;
    }

    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        self.subscriptions.tick(now, out);
        if let Some(lost) = self.subscriptions.lost().cloned() {
            self.give_up(lost, out);
        }
        if now.micros_since(self.last_frame) >= micros(SILENCE_MAX) {
            self.give_up(Lost::Silence, out);
        }
    }

    pub(super) fn give_up(&mut self, reason: Lost, out: &mut dyn Effects) {
        if !std::mem::replace(&mut self.is_given_up, true) {
            out.reconnect(self.link, reason);
        }
    }
}
