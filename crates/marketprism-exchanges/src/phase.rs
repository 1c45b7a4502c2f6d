//! Where one instrument's turns begin within an interval, so that not all come at once.

use std::time::Duration;

/// A place within the interval, µs: the same for the same name in every process, so that two collectors take the same
/// turns.
pub(crate) fn of(name: &str, interval_micros: i64) -> i64 {
    // FNV-1a.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = name.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    i64::try_from(hash >> 1).ok().and_then(|hash| hash.checked_rem(interval_micros)).unwrap_or_default()
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
