//! Waiting for something to become true, instead of for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for a state that takes milliseconds to seconds on a quiet machine. Only a defect reaches it: a machine
/// that runs ten times as much beside the tests does not.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Asks `condition` until it holds; fails the test with `what` when it does not within `deadline`.
pub async fn poll_until(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition().await {
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
