//! Events that are known by their time alone, such as tickers: which of them are news, where several sockets bring the same.

use marketprism_core::Timestamp;

use crate::context::SECOND;

/// Sockets are rarely a second apart: what is further behind is no repetition, the exchange's clock was set back.
const BEHIND_MICROS_MAX: i64 = 10 * SECOND;

/// The time of the last event that was news.
#[derive(Debug, Default)]
pub(crate) struct Latest(Option<Timestamp>);

impl Latest {
    /// Continues after what was published before this process started.
    pub(crate) const fn new(published: Option<Timestamp>) -> Self {
        Self(published)
    }

    /// Whether an event of this time is news.
    pub(crate) fn is_news(&self, event: Timestamp) -> bool {
        self.0.is_none_or(|latest| event > latest || latest.micros_since(event) > BEHIND_MICROS_MAX)
    }

    /// An event of this time was taken.
    pub(crate) fn set(&mut self, event: Timestamp) {
        self.0 = Some(event);
    }
}
