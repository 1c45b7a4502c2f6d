//! Each message is one row, over restarts, redeliveries and two streams of one name.

use std::time::Duration;

use marketprism_bus::ConsumerConfig;
use marketprism_core::{DataType, Message, Subject, subject, topology};
use marketprism_store::{Entry, table};
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig, TRADE_SUBJECT};

#[tokio::test]
async fn every_data_type_is_stored_once_and_told_in_metrics() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    let golden = DataType::ALL.iter().map(|data_type| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/marketprism-core/testdata/wire");
        let payload = std::fs::read_to_string(format!("{folder}/{data_type}/v1.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
        let part = |field: &str| value[field].as_str().unwrap().to_owned();
        let subject = format!("{data_type}.{}.{}.{}", part("exchange"), part("market_type"), part("symbol"));
        // Without the line's end: the payload is a part of the test's message ids.
        (subject, payload.trim_end().to_owned())
    });
    rig.publish(golden).await;
    rig.publish_trades(1..2_001).await;
    poll_until(DEADLINE, "all trades are stored", async || {
        rig.number("SELECT count() FROM marketprism_hot.trades").await == 2_001
    })
    .await;
    for data_type in DataType::ALL.iter().filter(|one| **one != DataType::Trade) {
        let question = format!("SELECT count() FROM marketprism_hot.{}", table(*data_type));
        poll_until(DEADLINE, &question, async || rig.number(&question).await == 1).await;
    }
    rig.assert_trades(2_001).await;
    let metrics = rig.metrics("one").await;
    for line in [
        r#"marketprism_storage_messages_processed_total{data_type="trade"} 2001"#,
        r#"marketprism_storage_batch_size_total{data_type="orderbook"} 1"#,
        r#"marketprism_storage_messages_failed_total{data_type="gap"} 0"#,
        r#"marketprism_storage_stream_epoch{data_type="trade"} 1"#,
        "marketprism_storage_insert_duration_seconds_bucket",
    ] {
        assert!(metrics.contains(line), "`{line}` is not in:\n{metrics}");
    }
    assert!(service.stop().success());
}

#[tokio::test]
async fn sigterm_in_the_middle_loses_and_doubles_nothing() {
    let rig = Rig::start().await;
    let mut service = rig.service("first").await;
    let publishing = rig.publish_trades(1..30_001);
    let restarting = async {
        poll_until(DEADLINE, "some are stored", async || {
            rig.number("SELECT count() FROM marketprism_hot.trades").await > 0
        })
        .await;
        service.terminate();
    };
    tokio::join!(publishing, restarting);
    assert!(service.wait().success(), "{}", service.log());
    let mut service = rig.service("second").await;
    rig.assert_trades(30_000).await;
    assert!(service.stop().success());
}

#[tokio::test]
async fn what_another_stored_and_could_not_acknowledge_is_not_stored_again() {
    let rig = Rig::start().await;
    rig.service("first").await.stop();
    rig.publish_trades(1..101).await;
    // An instance that dies between its insert and its acknowledgement.
    let bus = rig.bus().await;
    let consumer = ConsumerConfig {
        durable: topology::hot_consumer(DataType::Trade),
        filter_subjects: vec![subject::filter(DataType::Trade)],
        ack_wait: Duration::from_secs(3),
        pin_ttl: Some(Duration::from_secs(1)),
        ..ConsumerConfig::default()
    };
    let consumer = bus.consumer(topology::MARKET_DATA, consumer).await.unwrap();
    let deliveries = consumer.next_batch(60, 1 << 20, Duration::from_secs(5)).await.unwrap();
    assert_eq!(deliveries.len(), 60);
    let subject = Subject::parse(TRADE_SUBJECT).unwrap();
    let messages: Vec<_> =
        deliveries.iter().map(|one| Message::decode(&subject, &one.payload).unwrap()).collect();
    let mut entries: Vec<_> = messages
        .iter()
        .zip(&deliveries)
        .map(|(message, delivery)| Entry { message, stream_epoch: 1, stream_seq: delivery.stream_sequence })
        .collect();
    entries.sort_by_key(Entry::day);
    for day in entries.chunk_by(|one, next| one.day() == next.day()) {
        rig.store().insert(day).await.unwrap();
    }
    drop(bus);

    let mut service = rig.service("second").await;
    rig.assert_trades(100).await;
    let metrics = rig.metrics("second").await;
    let line = r#"marketprism_storage_messages_already_stored_total{data_type="trade"} 60"#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(service.stop().success());
}
