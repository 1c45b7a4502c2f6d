//! When one polled thing of one instrument is asked for next, and whether an answer is news.

use std::time::Duration;

use marketprism_core::Timestamp;

use crate::requests::Ask;
use crate::session::FetchFailed;

/// One polled thing, such as the open interest of one instrument.
#[derive(Debug)]
pub(crate) struct Poll {
    interval_micros: i64,
    due: Timestamp,
    ask: Ask,
    /// Time of the last value published, by the exchange's clock.
    published: Option<Timestamp>,
}

impl Poll {
    /// The first time is at `first`: callers spread their instruments over the interval.
    pub(crate) fn new(interval: Duration, first: Timestamp) -> Self {
        let interval_micros = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
        Self { interval_micros, due: first, ask: Ask::default(), published: None }
    }

    /// Whether it may be asked for now.
    pub(crate) fn is_due(&mut self, now: Timestamp) -> bool {
        if now >= self.due {
            // The turn after this one keeps its place in the interval, however late this one is.
            let turns = (now.micros_since(self.due) / self.interval_micros).saturating_add(1);
            self.due = self.due.saturating_add_micros(turns.saturating_mul(self.interval_micros));
            self.ask.want(now);
        }
        self.ask.is_due(now)
    }

    /// It was asked for.
    pub(crate) fn opened(&mut self) {
        self.ask.opened();
    }

    /// An answer came that could be read.
    pub(crate) fn answered(&mut self) {
        self.ask.succeeded();
    }

    /// None came, or none that could be read: asks again sooner than the next turn.
    pub(crate) fn failed(&mut self, now: Timestamp, failure: Option<&FetchFailed>) {
        self.ask.failed(now, failure);
    }

    /// Whether a value of this time was not published yet; then it counts as published.
    pub(crate) fn is_news(&mut self, event: Timestamp) -> bool {
        let is_news = self.published.is_none_or(|published| event > published);
        if is_news {
            self.published = Some(event);
        }
        is_news
    }
}
