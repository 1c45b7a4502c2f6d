//! The REST weight budgets: counted per market (the exchange counts per host), in windows aligned to the
//! clock. Over it comes 429; who goes on regardless gets 418. Pure: the caller brings the time.

use std::sync::Mutex;

use crate::config::LimitsConfig;

/// Requests after the first 429 in a window that turn it into a ban.
const IGNORED_429_MAX: u32 = 20;
/// The exchange's shortest ban.
const BAN_SECONDS: u64 = 120;

/// The answer to "may this request go on?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Yes; this much weight is used in this window.
    Granted { used_weight: u64 },
    /// 429.
    Exceeded { used_weight: u64, retry_after_seconds: u64 },
    /// 418.
    Banned { retry_after_seconds: u64 },
}

/// One budget.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    window_ms: i64,
    window: i64,
    used_weight: u64,
    refused: u32,
    banned_until_ms: i64,
}

impl Budget {
    /// `limit` in each window of `window_ms`.
    pub(crate) fn new(limit: u64, window_ms: i64) -> Self {
        Self { limit, window_ms, window: 0, used_weight: 0, refused: 0, banned_until_ms: 0 }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Spends `weight` at `now_ms`.
    pub(crate) fn spend(&mut self, weight: u64, now_ms: i64) -> Allowance {
        if now_ms < self.banned_until_ms {
            return Allowance::Banned { retry_after_seconds: seconds_until(self.banned_until_ms, now_ms) };
        }
        let window = now_ms / self.window_ms;
        if window != self.window {
            self.window = window;
            self.used_weight = 0;
            self.refused = 0;
        }
        self.used_weight += weight;
        if self.used_weight <= self.limit {
            return Allowance::Granted { used_weight: self.used_weight };
        }
        self.refused += 1;
        if self.refused > IGNORED_429_MAX {
            self.banned_until_ms = now_ms + i64::try_from(BAN_SECONDS).unwrap_or(0) * 1000;
            return Allowance::Banned { retry_after_seconds: BAN_SECONDS };
        }
        let retry_after_seconds = seconds_until((window + 1) * self.window_ms, now_ms);
        Allowance::Exceeded { used_weight: self.used_weight, retry_after_seconds }
    }
}

fn seconds_until(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from((then_ms - now_ms + 999) / 1000).unwrap_or(0).max(1)
}

const MINUTE_MS: i64 = 60_000;
/// Requests of `/futures/data/*` in five minutes.
const STATISTICS_REQUESTS_MAX: u64 = 1000;

/// All budgets.
#[derive(Debug)]
pub(crate) struct Budgets {
    pub(crate) spot: Mutex<Budget>,
    pub(crate) usdm: Mutex<Budget>,
    pub(crate) statistics: Mutex<Budget>,
}

impl Budgets {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self {
            spot: Mutex::new(Budget::new(limits.spot_weight_per_minute, MINUTE_MS)),
            usdm: Mutex::new(Budget::new(limits.usdm_weight_per_minute, MINUTE_MS)),
            statistics: Mutex::new(Budget::new(STATISTICS_REQUESTS_MAX, 5 * MINUTE_MS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Budget};

    #[test]
    fn over_the_budget_is_429_then_418_and_a_new_minute_is_fresh() {
        let mut budget = Budget::new(10, 60_000);
        assert_eq!(budget.spend(10, 60_500), Allowance::Granted { used_weight: 10 });
        assert_eq!(budget.spend(1, 61_000), Allowance::Exceeded { used_weight: 11, retry_after_seconds: 59 });
        assert_eq!(budget.spend(1, 120_000), Allowance::Granted { used_weight: 1 });
        budget.spend(10, 120_001);
        for _ in 0..19 {
            assert!(matches!(budget.spend(1, 120_002), Allowance::Exceeded { .. }));
        }
        assert_eq!(budget.spend(1, 121_000), Allowance::Banned { retry_after_seconds: 120 });
        assert_eq!(budget.spend(1, 240_000), Allowance::Banned { retry_after_seconds: 1 });
        assert!(matches!(budget.spend(1, 241_001), Allowance::Granted { .. }));
    }
}
