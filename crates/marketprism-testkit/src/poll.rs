//! Waiting for something to become true, instead of for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `condition` until it holds; fails the test with `what` when it does not within `deadline`.
pub async fn poll_until(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition().await {
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
