//! Section `exchanges.<id>.orderbook`: how books are kept and published.

use std::time::Duration;

use marketprism_exchanges::registry::BookMode;
use marketprism_service::{ConfigError, HumanDuration};
use serde::{Deserialize, Serialize};

/// The most an exchange gives in a snapshot.
const SNAPSHOT_LEVELS_MAX: u32 = 5_000;
/// A book older than this is of no use to anybody.
const PUBLISH_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// In snapshot mode every publication costs a REST request of each symbol.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How order books are kept and published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OrderBookConfig {
    /// `incremental`: a local book, kept by the exchange's updates and verified by its sequence. `snapshot`: one REST
    /// snapshot every publish interval, without a local book.
    pub(crate) mode: BookMode,
    /// Levels per side in a message.
    pub(crate) depth: u32,
    /// Levels per side kept in memory.
    pub(crate) depth_max: u32,
    /// How often a changed book is published; `0s` at every update.
    pub(crate) publish_interval: HumanDuration,
    /// Levels per side asked for in a snapshot.
    pub(crate) snapshot_levels: u32,
}

impl Default for OrderBookConfig {
    fn default() -> Self {
        Self {
            mode: BookMode::Incremental,
            depth: 100,
            // What the exchanges' own snapshots hold; levels beyond are unknown after a start anyway.
            depth_max: 1_000,
            publish_interval: HumanDuration::from_secs(1),
            snapshot_levels: 1_000,
        }
    }
}

impl OrderBookConfig {
    pub(super) fn validate(self, key: &str) -> Result<(), ConfigError> {
        if self.depth == 0 || self.depth > self.depth_max {
            let reason = format!("must be 1 to {key}.depth_max, which is {}", self.depth_max);
            return Err(ConfigError::invalid(format!("{key}.depth"), self.depth, reason));
        }
        if !(1..=SNAPSHOT_LEVELS_MAX).contains(&self.snapshot_levels) {
            let reason = format!("must be 1 to {SNAPSHOT_LEVELS_MAX}, the most an exchange gives");
            return Err(ConfigError::invalid(format!("{key}.snapshot_levels"), self.snapshot_levels, reason));
        }
        let refuse_interval = |reason: &str| {
            Err(ConfigError::invalid(format!("{key}.publish_interval"), self.publish_interval, reason))
        };
        if self.publish_interval.get() > PUBLISH_INTERVAL_MAX {
            return refuse_interval("is longer than a minute: a book that old is of no use");
        }
        if self.mode == BookMode::Snapshot && self.publish_interval.get() < SNAPSHOT_INTERVAL_MIN {
            return refuse_interval(
                "is below 1s, and in snapshot mode each publication is a request of each symbol",
            );
        }
        Ok(())
    }
}
