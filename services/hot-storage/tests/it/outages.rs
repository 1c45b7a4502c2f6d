//! Servers that go away and come back.

use marketprism_core::DataType;
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig, TRADE_SUBJECT};

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
        status == 200 && body.contains("degraded") && body.contains(r#""messages_waiting":5000"#)
    })
    .await;
    let metrics = rig.metrics("one").await;
    let gauge = r#"marketprism_storage_seconds_until_loss{stream="MARKET_DATA"} "#;
    let left: f64 = metrics.split_once(gauge).unwrap().1.lines().next().unwrap().parse().unwrap();
    // By its age after 48 hours; sooner when more comes as fast as just now.
    let hours = left / 3_600.0;
    assert!((1.0..48.0).contains(&hours), "{hours} hours of the stream's 48");

    // The stream will drop what waits within minutes: somebody has to act.
    rig.limit_stream("max_age", 300_000_000_000).await;
    poll_until(DEADLINE, "health is alarmed", async || rig.health("one").await.0 == 503).await;

    rig.clickhouse.restart();
    rig.assert_trades(5_100).await;
    poll_until(DEADLINE, "healthy again", async || {
        let (status, body) = rig.health("one").await;
        status == 200 && body.contains(r#""status":"healthy","uptime"#)
            || body.contains(r#""messages_waiting":0"#)
    })
    .await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn what_the_stream_drops_before_it_is_stored_is_recorded_once() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish_trades(1..101).await;
    rig.publish([(TRADE_SUBJECT.to_owned(), "poison".to_owned())]).await;
    rig.wait_acknowledged(DataType::Trade).await;
    assert!(service.stop().success());
    rig.publish_trades(201..401).await;
    rig.limit_stream("max_msgs", 50).await;

    let mut service = rig.service("two").await;
    rig.assert_trades(150).await;
    // From 102 to 251: the dead letter is not among them.
    poll_until(DEADLINE, "the loss is recorded", async || lost(&rig).await == 150).await;
    let range = "SELECT count() FROM marketprism_hot.stream_losses WHERE (from_seq, to_seq) = (102, 251) AND \
                 reason = 'max_messages' AND stream = 'MARKET_DATA'";
    assert_eq!(rig.number(range).await, 1);
    let counter = r#"marketprism_storage_messages_lost_total{stream="MARKET_DATA"} 150"#;
    assert!(rig.metrics("two").await.contains(counter));
    poll_until(DEADLINE, "health tells of it", async || {
        let (status, body) = rig.health("two").await;
        status == 200 && body.contains("150 messages were dropped before they were stored")
    })
    .await;
    assert!(service.stop().success());

    // Dropped after they are stored, they are no loss.
    rig.limit_stream("max_msgs", 200).await;
    let mut service = rig.service("three").await;
    rig.publish_trades(401..551).await;
    rig.assert_trades(300).await;
    rig.publish_trades(551..701).await;
    rig.assert_trades(450).await;
    let looked = |body: &str| body.contains(r#""messages_waiting":0"#);
    poll_until(DEADLINE, "the stream was looked at", async || looked(&rig.health("three").await.1)).await;
    assert_eq!(lost(&rig).await, 150);
    assert!(service.stop().success());
}

async fn lost(rig: &Rig) -> u64 {
    rig.number("SELECT toUInt64(sum(messages)) FROM marketprism_hot.stream_losses").await
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
