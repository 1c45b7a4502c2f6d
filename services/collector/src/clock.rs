//! The only place where the collector reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use marketprism_core::Timestamp;

/// Now, µs UTC. A clock outside 1970…2200 reads as 1970, which every reader of `ts_recv_us` notices.
pub(crate) fn now() -> Timestamp {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .and_then(Timestamp::from_micros)
        .unwrap_or_default()
}
