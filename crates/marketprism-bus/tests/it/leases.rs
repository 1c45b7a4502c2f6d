//! One of several has it.

use std::time::{Duration, Instant};

use marketprism_bus::BusError;
use marketprism_testkit::poll_until;

use crate::{connect, started};

const NAME: &str = "test-lease";

#[tokio::test]
async fn one_has_it_until_it_gives_it_up_or_falls_silent() {
    let (server, one) = started().await;
    let other = connect(&server).await;
    let free_after = Duration::from_secs(1);
    let first = one.lease(NAME, free_after).await.unwrap().unwrap();
    assert!(other.lease(NAME, free_after).await.unwrap().is_none());
    first.confirm().await.unwrap();
    first.release().await.unwrap();

    let second = other.lease(NAME, free_after).await.unwrap().unwrap();
    let began = Instant::now();
    // Kept for three times as long as it would last.
    tokio::select! {
        lost = second.keep() => panic!("{lost}"),
        () = poll_until(free_after * 10, "time passes", async || began.elapsed() > free_after * 3) => {}
    }
    assert!(one.lease(NAME, free_after).await.unwrap().is_none());
    // Silent from now on.
    let mut third = None;
    poll_until(free_after * 10, "it is free", async || {
        third = one.lease(NAME, free_after).await.unwrap();
        third.is_some()
    })
    .await;
    let lost = second.confirm().await.unwrap_err();
    assert!(matches!(&lost, BusError::LeaseLost(name) if name == NAME), "{lost}");
    assert!(matches!(second.release().await, Err(BusError::LeaseLost(_))), "it is not ours to give up");
    third.unwrap().confirm().await.unwrap();
}
