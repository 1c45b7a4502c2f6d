//! How fast the copying may go. What a range costs is known only once it is copied, so it is paid for afterwards, by
//! waiting; a library's token bucket would want it beforehand, and none larger than a burst.

use std::num::NonZeroU64;
use std::time::Duration;

use marketprism_store::Copied;
use tokio::time::Instant;

/// The limits, and when the next range may begin.
#[derive(Debug)]
pub(crate) struct Pace {
    rows_per_second_max: Option<NonZeroU64>,
    bytes_per_second_max: Option<NonZeroU64>,
    free_at: Option<Instant>,
}

impl Pace {
    pub(crate) const fn new(
        rows_per_second_max: Option<NonZeroU64>,
        bytes_per_second_max: Option<NonZeroU64>,
    ) -> Self {
        Self { rows_per_second_max, bytes_per_second_max, free_at: None }
    }

    /// Takes what was copied, begun at `began`, into account; tells when the next range may begin.
    pub(crate) fn charge(&mut self, began: Instant, copied: Copied) -> Instant {
        let price = time_for(copied.rows, self.rows_per_second_max)
            .max(time_for(copied.bytes, self.bytes_per_second_max));
        // Time that was not used is not saved up.
        let free_at = self.free_at.map_or(began, |free_at| free_at.max(began)) + price;
        self.free_at = Some(free_at);
        free_at
    }
}

fn time_for(amount: u64, per_second: Option<NonZeroU64>) -> Duration {
    per_second.map_or(Duration::ZERO, |rate| {
        let nanoseconds = u128::from(amount) * 1_000_000_000 / u128::from(rate.get());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_limit_counts_and_idle_time_is_not_saved_up() {
        let began = Instant::now();
        let second = |n: u64| began + Duration::from_secs(n);
        let copied = |rows, bytes| Copied { rows, bytes };
        let mut free = Pace::new(None, None);
        assert_eq!(free.charge(began, copied(1_000_000, 1 << 40)), began);
        let mut pace = Pace::new(NonZeroU64::new(1_000), NonZeroU64::new(100_000));
        assert_eq!(pace.charge(began, copied(2_000, 100_000)), second(2));
        assert_eq!(pace.charge(second(2), copied(10, 300_000)), second(5));
        assert_eq!(
            pace.charge(second(3), copied(1_000, 1)),
            second(6),
            "begun too early, paid for nevertheless"
        );
        assert_eq!(pace.charge(second(100), copied(1_000, 1)), second(101));
    }
}
