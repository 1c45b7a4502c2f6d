//! Times: µs since 1970-01-01 UTC, as the wire and the tables carry them. Reads no clock.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// 2200-01-01 UTC: later times are somebody's wrong unit (ns taken for µs), and ClickHouse's `DateTime64(6)`
/// ends in 2299.
const MICROS_MAX: i64 = 7_258_118_400_000_000;

/// Microseconds since 1970-01-01 UTC, between 1970 and 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Timestamp(#[schemars(range(min = 0, max = 7_258_118_400_000_000_i64))] i64);

impl Timestamp {
    /// Microseconds in a day, the width of a table partition.
    pub const DAY_MICROS: i64 = 86_400_000_000;

    /// `None` outside 1970…2200.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros >= 0 && micros < MICROS_MAX { Some(Self(micros)) } else { None }
    }

    /// From an exchange's milliseconds. `None` outside 1970…2200.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Option<Self> {
        match millis.checked_mul(1_000) {
            Some(micros) => Self::from_micros(micros),
            None => None,
        }
    }

    /// From nanoseconds, rounded down. `None` outside 1970…2200.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        Self::from_micros(nanos.div_euclid(1_000))
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Days since 1970-01-01 UTC: the table partition a row belongs to.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Self::DAY_MICROS)
    }

    /// Microseconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// `self` plus a duration, held inside 1970…2200.
    #[must_use]
    pub fn saturating_add_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(0, MICROS_MAX - 1))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with six decimals, for people; the wire carries the integer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// RFC 3339 with any precision, cut to µs.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| TimestampError(text.to_owned(), "is no time such as 2026-11-21T06:30:00Z"))?;
        Self::from_micros(time.as_microsecond())
            .ok_or_else(|| TimestampError(text.to_owned(), "is not between 1970 and 2200"))
    }
}

/// A text that is no time of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` {1}")]
pub struct TimestampError(String, &'static str);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = i64::deserialize(deserializer)?;
        Self::from_micros(micros)
            .ok_or_else(|| de::Error::custom(format_args!("{micros} is no time in µs between 1970 and 2200")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_convert_and_bounds_hold() {
        assert_eq!(Timestamp::from_millis(1_700_000_000_123).unwrap().as_micros(), 1_700_000_000_123_000);
        assert_eq!(Timestamp::from_nanos(1_999).unwrap().as_micros(), 1);
        assert_eq!(Timestamp::from_millis(i64::MAX), None);
        assert_eq!(Timestamp::from_micros(-1), None);
        // A nanosecond count taken for microseconds is refused, not stored as the year 50000.
        assert_eq!(Timestamp::from_micros(1_700_000_000_000_000_000), None);
    }

    #[test]
    fn prints_for_people() {
        let time = Timestamp::from_micros(1_700_000_000_000_001).unwrap();
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.000001Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        for bad in ["yesterday", "1950-01-01T00:00:00Z"] {
            let error = bad.parse::<Timestamp>().unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
    }

    #[test]
    fn a_wrong_unit_is_named() {
        let error = serde_json::from_str::<Timestamp>("1700000000000000000").unwrap_err();
        assert!(error.to_string().contains("1700000000000000000"), "{error}");
    }
}
