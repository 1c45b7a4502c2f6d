//! Servers that go away and come back.

use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn while_clickhouse_is_away_nothing_is_lost_and_health_tells() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.assert_trades(100).await;
    rig.clickhouse.kill();
    rig.publish_trades(101..5_101).await;
    poll_until(DEADLINE, "health tells of it", async || {
        let (status, body) = rig.health("one").await;
        status == 503 && body.contains("lane trade")
    })
    .await;
    rig.clickhouse.restart();
    rig.assert_trades(5_100).await;
    poll_until(DEADLINE, "healthy again", async || rig.health("one").await.0 == 200).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn told_to_stop_while_clickhouse_is_away_it_stops_and_the_next_one_stores() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..2).await;
    rig.assert_trades(1).await;
    rig.clickhouse.kill();
    rig.publish_trades(2..501).await;
    poll_until(DEADLINE, "a batch is held", async || {
        rig.metrics("one").await.contains(r#"clickhouse_insert_errors_total{data_type="trade"} 1"#)
    })
    .await;
    assert!(service.stop().success(), "{}", service.log());
    rig.clickhouse.restart();
    let mut service = rig.service("two").await;
    rig.assert_trades(500).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_broker_that_restarts_is_read_on_from_where_it_was() {
    let mut rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..1_001).await;
    rig.assert_trades(1_000).await;
    rig.nats.kill();
    rig.nats.restart();
    rig.publish_trades(1_001..2_001).await;
    rig.assert_trades(2_000).await;
    let epochs = rig.number("SELECT uniqExact(epoch) FROM marketprism_hot.stream_epochs").await;
    assert_eq!(epochs, 1, "the same stream");
    assert!(service.stop().success());
}
