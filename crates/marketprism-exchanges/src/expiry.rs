//! How canonical symbols write the day a contract ends.

use marketprism_core::Timestamp;

/// `20261225`, the day in UTC.
pub(crate) fn day(expiry: Timestamp) -> String {
    // It prints as `2026-12-25T08:00:00.000000Z`.
    expiry.to_string().chars().filter(char::is_ascii_digit).take(8).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_day_is_in_utc() {
        let expiry = marketprism_core::Timestamp::from_millis(1_798_185_599_999).unwrap();
        assert_eq!(super::day(expiry), "20261225");
    }
}
