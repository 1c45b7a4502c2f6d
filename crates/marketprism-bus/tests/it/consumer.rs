//! Consuming: bounds, answers, restarts, dead letters.

use std::time::{Duration, Instant};

use bytes::Bytes;
use marketprism_bus::{
    Bus, BusError, ConsumerConfig, HEADER_REASON, HEADER_SEQUENCE, HEADER_SUBJECT, Outgoing, PublisherConfig,
};
use marketprism_core::topology::{DEAD_LETTER, MARKET_DATA};

use crate::{PATIENCE, consumer, number, pull, started, trade};

const LONG: Duration = Duration::from_secs(30);

async fn publish(bus: &Bus, numbers: std::ops::Range<u64>) {
    let publisher = bus.publisher(PublisherConfig::default());
    for n in numbers {
        publisher.publish(trade(n)).await.unwrap();
    }
    publisher.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_bounded_by_count_bytes_and_time() {
    let (_server, bus) = started().await;
    let consumer = consumer(&bus, "reader", LONG).await;
    let begun = Instant::now();
    assert!(consumer.next_batch(10, 1 << 20, Duration::from_millis(200)).await.unwrap().is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(190), "it did not wait");

    publish(&bus, 0..30).await;
    let first = consumer.next_batch(10, 1 << 20, LONG).await.unwrap();
    assert_eq!(first.iter().map(number).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!((first[9].stream_sequence, first[9].delivered, first[9].pending), (10, 1, 20));

    let few = consumer.next_batch(10, 700, LONG).await.unwrap();
    assert!((1..10).contains(&few.len()), "{} messages in 700 bytes", few.len());

    // Smaller than any message: it comes all the same, alone.
    assert_eq!(consumer.next_batch(10, 1, LONG).await.unwrap().len(), 1);
    let rest = consumer.next_batch(100, 1 << 20, Duration::from_millis(300)).await.unwrap();
    assert_eq!(rest.len(), 30 - 10 - few.len() - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_messages_come_again_and_count_it() {
    let (_server, bus) = started().await;
    publish(&bus, 0..3).await;
    let consumer = consumer(&bus, "reader", Duration::from_millis(300)).await;
    assert!(pull(&consumer, 3).await.iter().all(|delivery| delivery.delivered == 1));
    let again = pull(&consumer, 3).await;
    assert!(again.iter().all(|delivery| delivery.delivered == 2));
    for delivery in &again {
        delivery.ack_confirmed().await.unwrap();
    }
    assert_eq!(bus.ack_floor(MARKET_DATA, "reader").await.unwrap(), Some(3));
    assert_eq!(bus.ack_floor(MARKET_DATA, "nobody").await.unwrap(), None);
    assert!(consumer.next_batch(1, 1 << 20, Duration::from_millis(600)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_does_what_it_says() {
    let (_server, bus) = started().await;
    publish(&bus, 0..4).await;
    let consumer = consumer(&bus, "reader", Duration::from_secs(1)).await;
    let batch = pull(&consumer, 4).await;
    batch[0].ack().await.unwrap();
    batch[1].retry_in(Duration::from_millis(50)).await.unwrap();
    batch[2].reject().await.unwrap();
    let slow = batch[3].clone();
    // Longer than ack_wait in all; each word starts it anew.
    for _ in 0..4 {
        let again = consumer.next_batch(1, 1 << 20, Duration::from_millis(500)).await.unwrap();
        for delivery in again {
            assert_eq!((number(&delivery), delivery.delivered), (1, 2));
            delivery.ack().await.unwrap();
        }
        slow.in_progress().await.unwrap();
        slow.in_progress_confirmed().await.unwrap();
    }
    slow.ack_confirmed().await.unwrap();
    assert_eq!(bus.ack_floor(MARKET_DATA, "reader").await.unwrap(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_survives_the_broker() {
    let (mut server, bus) = started().await;
    publish(&bus, 0..10).await;
    let consumer = consumer(&bus, "reader", Duration::from_secs(1)).await;
    for delivery in pull(&consumer, 4).await {
        delivery.ack_confirmed().await.unwrap();
    }
    server.stop();
    assert!(consumer.next_batch(10, 1 << 20, Duration::from_millis(300)).await.unwrap().is_empty());
    server.restart();
    let rest = pull(&consumer, 6).await;
    assert_eq!(rest.iter().map(number).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
    assert_eq!(bus.stream_state(MARKET_DATA).await.unwrap().messages, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_killed_with_the_broker_in_mid_wait_goes_on() {
    let (mut server, bus) = started().await;
    let consumer = consumer(&bus, "reader", LONG).await;
    let waiting = tokio::task::JoinSet::from_iter([async move { pull(&consumer, 3).await }]);
    server.kill();
    server.restart();
    publish(&bus, 0..3).await;
    assert_eq!(waiting.join_all().await[0].len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_that_vanished_is_created_again() {
    let (server, bus) = started().await;
    publish(&bus, 0..3).await;
    let consumer = consumer(&bus, "reader", LONG).await;
    pull(&consumer, 3).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let deleted =
        async_nats::jetstream::new(client).delete_consumer_from_stream("reader", MARKET_DATA).await.unwrap();
    assert!(deleted.success);
    assert_eq!(pull(&consumer, 3).await.iter().map(number).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_missing_is_named() {
    let (_server, bus) = started().await;
    let config = ConsumerConfig { durable: "reader".to_owned(), ..ConsumerConfig::default() };
    let error = bus.consumer("NO_SUCH", config).await.unwrap_err();
    assert!(matches!(&error, BusError::StreamMissing(name) if name == "NO_SUCH"), "{error}");
    assert!(error.to_string().contains("broker-bootstrap"), "{error}");
    assert!(matches!(bus.stream_state("NO_SUCH").await, Err(BusError::StreamMissing(_))));
    let error = bus.consumer(MARKET_DATA, ConsumerConfig::default()).await.unwrap_err();
    assert!(matches!(&error, BusError::Config(field) if field.field == "durable"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_the_bytes_and_the_reason_once() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let poison = Outgoing { payload: Bytes::from_static(b"\xff{not json"), ..trade(7) };
    publisher.publish(poison).await.unwrap();
    publisher.drain().await.unwrap();
    let consumer = consumer(&bus, "reader", LONG).await;
    let delivery = pull(&consumer, 1).await.remove(0);
    for _ in 0..2 {
        bus.dead_letter(&delivery, "no JSON:\nbyte 0").await.unwrap();
    }
    delivery.reject().await.unwrap();

    let config = ConsumerConfig { durable: "undertaker".to_owned(), ..ConsumerConfig::default() };
    let letters = bus.consumer(DEAD_LETTER, config).await.unwrap();
    let letter = tokio::time::timeout(PATIENCE, letters.next_batch(1, 1 << 20, LONG))
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!(letter.subject, "dead_letter.MARKET_DATA");
    assert_eq!(&letter.payload[..], b"\xff{not json");
    assert_eq!(letter.header(HEADER_REASON), Some("no JSON: byte 0"));
    assert_eq!(letter.header(HEADER_SUBJECT), Some("trade.binance.spot.S2"));
    assert_eq!(letter.header(HEADER_SEQUENCE), Some("1"));
    assert_eq!(bus.stream_state(DEAD_LETTER).await.unwrap().messages, 1);
}
