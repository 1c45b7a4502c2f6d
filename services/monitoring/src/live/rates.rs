//! Rates and quantiles between two scrapes. Pure.
#![expect(clippy::float_arithmetic, reason = "metrics are floats, for people to look at; no money is here")]

use std::time::Duration;

/// The sum; a function, so that who adds metrics up has no float arithmetic of its own.
pub(crate) fn add(a: f64, b: f64) -> f64 {
    a + b
}

/// How fast a counter grew; `None` when it began anew in between.
pub(crate) fn per_second(now: Option<f64>, before: Option<f64>, elapsed: Duration) -> Option<f64> {
    let grown = now? - before?;
    (grown >= 0.0 && !elapsed.is_zero()).then(|| grown / elapsed.as_secs_f64())
}

/// The value below which the share `q` of what was observed between two scrapes lies, taken to be even within a bucket; of
/// what is beyond the last bound, that bound. `None` when nothing was observed.
pub(crate) fn quantile(now: &[(f64, f64)], before: &[(f64, f64)], q: f64) -> Option<f64> {
    let earlier = |bound: f64| before.iter().find(|(known, _)| known.total_cmp(&bound).is_eq());
    let grown: Vec<_> = now
        .iter()
        .map(|(bound, count)| (*bound, count - earlier(*bound).map_or(0.0, |(_, count)| *count)))
        .collect();
    let total = grown.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let wanted = total * q;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in grown {
        if count >= wanted {
            if bound.is_infinite() {
                return Some(low);
            }
            let share = if count > below { (wanted - below) / (count - below) } else { 1.0 };
            return Some(low + (bound - low) * share);
        }
        (low, below) = (bound, count);
    }
    Some(low)
}

/// A count as a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, NaN is 0")]
pub(crate) const fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: Duration = Duration::from_secs(2);

    #[test]
    fn a_rate_is_what_came_between_and_none_over_a_restart() {
        assert_eq!(per_second(Some(30.0), Some(10.0), SECONDS), Some(10.0));
        assert_eq!(per_second(Some(5.0), Some(10.0), SECONDS), None);
        assert_eq!(per_second(Some(5.0), None, SECONDS), None);
        assert_eq!(per_second(Some(5.0), Some(5.0), Duration::ZERO), None);
    }

    #[test]
    fn a_quantile_is_of_what_came_between() {
        let before = [(0.5, 100.0), (1.0, 100.0), (f64::INFINITY, 100.0)];
        let now = [(0.5, 100.0), (1.0, 125.0), (f64::INFINITY, 125.0)];
        assert_eq!(quantile(&now, &before, 0.5), Some(0.75));
        assert_eq!(quantile(&now, &[], 0.5), Some(0.3125), "since the start");
        assert_eq!(quantile(&before, &before, 0.5), None);
        let beyond = [(0.5, 100.0), (1.0, 100.0), (f64::INFINITY, 101.0)];
        assert_eq!(quantile(&beyond, &before, 0.99), Some(1.0));
        assert_eq!(quantile(&[], &[], 0.5), None);
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!((whole(12.0), whole(-1.0), whole(f64::NAN)), (12, 0, 0));
    }
}
