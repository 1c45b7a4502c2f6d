//! How far a table is: rows that are left, how fast they become fewer, and when none will be. Pure but for the clock that
//! is handed in.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// How often what is left is counted anew, rates are taken, and a line is logged while there is something left.
const INTERVAL: Duration = Duration::from_secs(10);

/// How far one table is.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) watermark: u64,
    pub(crate) backlog_rows: u64,
    pub(crate) rows_per_second: u64,
    copied: u64,
    since: Instant,
    counted_at: Option<Instant>,
}

impl Progress {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { watermark: 0, backlog_rows: 0, rows_per_second: 0, copied: 0, since: now, counted_at: None }
    }

    /// Whether what is left must be counted; in between it is what was left less what was copied.
    pub(crate) fn must_count(&self, now: Instant) -> bool {
        self.backlog_rows == 0 || self.counted_at.is_none_or(|at| now.duration_since(at) >= INTERVAL)
    }

    pub(crate) const fn counted(&mut self, now: Instant, rows: u64) {
        self.backlog_rows = rows;
        self.counted_at = Some(now);
    }

    pub(crate) const fn copied(&mut self, rows: u64) {
        self.backlog_rows = self.backlog_rows.saturating_sub(rows);
        self.copied = self.copied.saturating_add(rows);
    }

    /// Takes the rate anew once an [`INTERVAL`]; true when it did.
    pub(crate) fn take_rate(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) < INTERVAL {
            return false;
        }
        let milliseconds = u64::try_from(now.duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.rows_per_second = self.copied.saturating_mul(1_000) / milliseconds.max(1);
        (self.copied, self.since) = (0, now);
        true
    }

    /// When nothing will be left at this rate; `None` while nothing moves.
    pub(crate) const fn eta_seconds(&self) -> Option<u64> {
        if self.backlog_rows == 0 { Some(0) } else { self.backlog_rows.checked_div(self.rows_per_second) }
    }

    pub(crate) fn facts(&self) -> Value {
        let Self { watermark, backlog_rows, rows_per_second, .. } = self;
        json!({
            "watermark": watermark,
            "backlog_rows": backlog_rows,
            "rows_per_second": rows_per_second,
            "eta_seconds": self.eta_seconds(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_how_fast_it_goes_is_when_it_ends() {
        let began = Instant::now();
        let later = began + INTERVAL;
        let mut progress = Progress::new(began);
        assert!(progress.must_count(began));
        assert_eq!(progress.eta_seconds(), Some(0), "nothing is left");
        progress.counted(began, 60_000);
        assert_eq!(progress.eta_seconds(), None, "nothing moves");
        progress.copied(10_000);
        assert!(!progress.must_count(began));
        assert!(!progress.take_rate(began) && progress.take_rate(later));
        assert_eq!((progress.backlog_rows, progress.rows_per_second), (50_000, 1_000));
        assert_eq!(progress.eta_seconds(), Some(50));
        assert!(progress.must_count(later), "more may have come");
        progress.copied(60_000);
        assert_eq!(progress.facts()["backlog_rows"], 0, "never below nothing");
        assert!(progress.take_rate(later + INTERVAL) && progress.take_rate(later + INTERVAL * 2));
        assert_eq!(progress.rows_per_second, 0);
    }
}
