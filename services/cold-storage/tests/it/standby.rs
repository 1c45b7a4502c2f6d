//! Two instances at once: one copies, the other takes over, and nothing is copied twice.

use marketprism_core::DataType;
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn of_two_instances_one_copies_and_the_other_takes_over() {
    let rig = Rig::start().await;
    rig.store_trades(1..20_001, |_| true).await;
    let mut first = rig.service("one");
    let role = async |name: &str, stands_by: bool| {
        let expected = format!(r#""stands_by":{stands_by}"#);
        poll_until(DEADLINE, &format!("{name} says {expected}"), async || {
            rig.get(name, "health").await.contains(&expected)
        })
        .await;
    };
    role("one", false).await;
    let mut second = rig.service("two");
    role("two", true).await;
    // Frozen wherever it is, and awake again when the other one has gone on.
    first.pause();
    role("two", false).await;
    rig.wait_for_watermark(20_000).await;
    first.resume();
    assert_eq!(first.wait().code(), Some(1), "{}", first.log());
    assert!(first.log().contains("the lease cold-storage is lost"), "{}", first.log());
    rig.store_trades(20_001..20_101, |_| true).await;
    rig.wait_for_watermark(20_100).await;
    rig.assert_same(20_100).await;

    // One that is told to stop gives it up at once.
    let mut third = rig.service_with("three", &[("MARKETPRISM__REPLICATION__TAKEOVER_AFTER", "1h")]);
    role("three", true).await;
    assert!(second.stop().success(), "{}", second.log());
    role("three", false).await;
    assert_eq!(rig.cold.watermark(DataType::Trade, 1).await.unwrap(), 20_100);
    assert!(third.stop().success());
}
