//! How many are long and how many short, period by period. A ratio is made of its period alone, so that every request
//! gets the same history.

use compact_str::CompactString;

use super::shape::Dice;
use crate::units::decimal;

/// Whose ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RatioOf {
    /// Positions of the top traders.
    TopPosition,
    /// Accounts of the top traders.
    TopAccount,
    /// All accounts.
    AllAccount,
}

/// Shares of 1 with four decimals, and their quotient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ratio {
    pub(crate) long: CompactString,
    pub(crate) short: CompactString,
    pub(crate) long_short: CompactString,
}

/// Shares are written with four decimals.
const WHOLE: i64 = 10_000;

impl Ratio {
    /// The ratio of the instrument with dice `stream` in the period that begins at `start_ms`.
    pub(super) fn new(seed: u64, stream: u64, of: RatioOf, start_ms: i64) -> Self {
        let salt = match of {
            RatioOf::TopPosition => 1,
            RatioOf::TopAccount => 2,
            RatioOf::AllAccount => 3,
        };
        let period = start_ms.unsigned_abs().wrapping_mul(4) + salt;
        let mut dice = Dice::new(seed ^ stream, period);
        let long = 3_000 + dice.below_signed(4_000);
        let short = WHOLE - long;
        let quotient = (long * WHOLE + short / 2) / short;
        Self { long: decimal(long, 4), short: decimal(short, 4), long_short: decimal(quotient, 4) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ratio, RatioOf};

    #[test]
    fn a_period_has_one_ratio_and_whose_it_is_matters() {
        let ratio = |of, start_ms| Ratio::new(7, 99, of, start_ms);
        assert_eq!(ratio(RatioOf::TopPosition, 300_000), ratio(RatioOf::TopPosition, 300_000));
        assert_ne!(ratio(RatioOf::TopPosition, 300_000), ratio(RatioOf::AllAccount, 300_000));
        assert_ne!(ratio(RatioOf::TopPosition, 300_000), ratio(RatioOf::TopPosition, 600_000));
        let Ratio { long, short, .. } = ratio(RatioOf::TopAccount, 0);
        let sum: i64 = [long, short].iter().map(|share| share[2..].parse::<i64>().unwrap()).sum();
        assert_eq!(sum, 10_000);
    }
}
