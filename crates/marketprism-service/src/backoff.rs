//! How long to wait before trying again: full jitter, bounded, reset only by a stable period.
//!
//! It owns no clock and never sleeps: the caller says how long the last attempt was stable, and waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::HumanDuration;

/// The bounds of a [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackoffConfig {
    /// Upper bound of the first delay; each further one doubles it.
    pub first: HumanDuration,
    /// Upper bound of every delay.
    pub max: HumanDuration,
    /// How long an attempt must have been good before the next failure counts as the first again. Without it a peer
    /// that accepts and closes at once would be tried at full speed.
    pub stable_after: HumanDuration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            first: HumanDuration::from_millis(500),
            max: HumanDuration::from_secs(30),
            stable_after: HumanDuration::from_secs(60),
        }
    }
}

/// The delays between attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    config: BackoffConfig,
    /// Failures since the last stable period.
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(config: BackoffConfig) -> Self {
        Self { config, failures: 0 }
    }

    /// The delay after an attempt that was good for `stable_for` (zero when it never connected): uniformly random
    /// between zero and `min(max, first · 2^failures)`.
    pub fn next_delay(&mut self, stable_for: Duration) -> Duration {
        if stable_for >= self.config.stable_after.get() {
            self.failures = 0;
        }
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        rand::random_range(Duration::ZERO..=ceiling)
    }

    /// Failures since the last stable period.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn ceiling(&self) -> Duration {
        let doubled =
            2_u32.checked_pow(self.failures).and_then(|factor| self.config.first.get().checked_mul(factor));
        doubled.unwrap_or(Duration::MAX).min(self.config.max.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(BackoffConfig {
            first: HumanDuration::from_millis(100),
            max: HumanDuration::from_secs(2),
            stable_after: HumanDuration::from_secs(60),
        })
    }

    #[test]
    fn delays_stay_within_a_doubling_bounded_ceiling() {
        let mut backoff = backoff();
        for bound_ms in [100, 200, 400, 800, 1600, 2000, 2000] {
            assert!(backoff.next_delay(Duration::ZERO) <= Duration::from_millis(bound_ms));
        }
        for _ in 0..200 {
            assert!(
                backoff.next_delay(Duration::ZERO) <= Duration::from_secs(2),
                "no overflow after many failures"
            );
        }
    }

    #[test]
    fn delays_are_spread() {
        let mut backoff = backoff();
        (0..10).for_each(|_| _ = backoff.next_delay(Duration::ZERO));
        let delays: Vec<_> = (0..200).map(|_| backoff.next_delay(Duration::ZERO)).collect();
        assert!(delays.iter().any(|delay| *delay < Duration::from_millis(500)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_millis(1500)));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stable_period_resets_it() {
        let mut backoff = backoff();
        for (up, failures) in [(1, 1), (59, 2), (60, 1), (0, 2)] {
            let connected = tokio::time::Instant::now();
            tokio::time::sleep(Duration::from_secs(up)).await;
            let delay = backoff.next_delay(connected.elapsed());
            assert_eq!(backoff.failures(), failures, "after {up} s");
            tokio::time::sleep(delay).await;
        }
    }
}
