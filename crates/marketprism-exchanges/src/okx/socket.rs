//! One open socket: what is asked for on it, and whether it is alive.

use marketprism_core::Timestamp;

use super::limits;
use super::subscriptions::Subscriptions;
use crate::phase;
use crate::session::{Effects, Link, Lost};

/// An open socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) link: Link,
    pub(super) subscriptions: Subscriptions,
    last_frame: Timestamp,
    is_pinged: bool,
    /// Its replacement was asked for; once is enough.
    is_given_up: bool,
}

impl Socket {
    pub(super) fn new(link: Link, now: Timestamp) -> Self {
        let subscriptions = Subscriptions::new(link);
        Self { link, subscriptions, last_frame: now, is_pinged: false, is_given_up: false }
    }

    /// When anything came last.
    pub(super) const fn last_frame(&self) -> Timestamp {
        self.last_frame
    }

    pub(super) const fn received(&mut self, now: Timestamp) {
        self.last_frame = now;
        self.is_pinged = false;
    }

    /// Sends what is due; the exchange closes a socket on which nothing was sent for 30 s, and wants the text `ping`
    /// before.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut dyn Effects) {
        if let Err(lost) = self.subscriptions.tick(now, out) {
            self.give_up(lost, out);
        }
        let silent = now.micros_since(self.last_frame);
        let silence_max = phase::micros(limits::SILENCE_MAX);
        if silent >= silence_max {
            self.give_up(Lost::Silence, out);
        } else if silent >= silence_max / 2 && !self.is_pinged {
            self.is_pinged = true;
            out.send(self.link, "ping".to_owned());
        }
    }

    pub(super) fn give_up(&mut self, reason: Lost, out: &mut dyn Effects) {
        if !std::mem::replace(&mut self.is_given_up, true) {
            out.reconnect(self.link, reason);
        }
    }
}
