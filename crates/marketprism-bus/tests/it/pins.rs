//! One reader at a time of a pinned consumer, and how another takes over.

use std::time::{Duration, Instant};

use marketprism_bus::{Bus, Consumer, ConsumerConfig, PublisherConfig};
use marketprism_core::topology::MARKET_DATA;

use crate::{connect, consumer, number, pull, started, trade};

const TTL: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(200);

async fn publish(bus: &Bus, numbers: std::ops::Range<u64>) {
    let publisher = bus.publisher(PublisherConfig::default());
    for n in numbers {
        publisher.publish(trade(n)).await.unwrap();
    }
    publisher.drain().await.unwrap();
}

async fn pinned(bus: &Bus) -> Consumer {
    let config = ConsumerConfig {
        durable: "reader".to_owned(),
        filter_subjects: vec!["trade.>".to_owned()],
        pin_ttl: Some(TTL),
        ..ConsumerConfig::default()
    };
    bus.consumer(MARKET_DATA, config).await.unwrap()
}

async fn numbers(consumer: &Consumer, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    for delivery in pull(consumer, count).await {
        delivery.ack_confirmed().await.unwrap();
        numbers.push(number(&delivery));
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_gets_the_messages_and_another_takes_over_after_the_ttl() {
    let (server, bus) = started().await;
    let other_bus = connect(&server).await;
    let (first, second) = (pinned(&bus).await, pinned(&other_bus).await);
    publish(&bus, 0..5).await;
    assert_eq!(numbers(&first, 5).await, [0, 1, 2, 3, 4]);
    assert!(first.pin().is_some());
    publish(&bus, 5..8).await;
    assert!(second.next_batch(10, 1 << 20, SHORT).await.unwrap().is_empty(), "it is not pinned");
    let state = bus.consumer_state(MARKET_DATA, "reader").await.unwrap().unwrap();
    assert_eq!((state.pinned, second.pin()), (first.pin(), None));
    assert_eq!((state.pending, state.ack_floor), (3, 5));

    let paused = Instant::now();
    assert_eq!(numbers(&second, 3).await, [5, 6, 7]);
    assert!(paused.elapsed() >= TTL - SHORT * 3, "it did not wait for the end of the pin");
    // The first one's id is worth nothing any more.
    publish(&bus, 8..9).await;
    assert!(first.next_batch(10, 1 << 20, SHORT).await.unwrap().is_empty());
    assert_eq!(first.pin(), None);
    assert_eq!(numbers(&second, 1).await, [8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_that_is_given_up_goes_over_at_once_and_a_broker_forgets_it() {
    let (mut server, bus) = started().await;
    let (first, second) = (pinned(&bus).await, pinned(&bus).await);
    publish(&bus, 0..1).await;
    assert_eq!(numbers(&first, 1).await, [0]);
    first.unpin().await.unwrap();
    publish(&bus, 1..2).await;
    assert_eq!(numbers(&second, 1).await, [1]);
    let before = second.pin();
    server.kill();
    server.restart();
    publish(&bus, 2..3).await;
    // The kill may have taken the last acknowledgement with it.
    assert_eq!(numbers(&second, 1).await.last().map(|last| *last >= 1), Some(true));
    assert_ne!(second.pin(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_before_pins_is_made_anew_from_its_floor() {
    let (_server, bus) = started().await;
    publish(&bus, 0..5).await;
    let shared = consumer(&bus, "reader", Duration::from_secs(30)).await;
    assert_eq!(numbers(&shared, 2).await, [0, 1]);
    pull(&shared, 2).await;
    for _ in 0..2 {
        pinned(&bus).await;
    }
    assert_eq!(bus.ack_floor(MARKET_DATA, "reader").await.unwrap(), Some(2));
    assert_eq!(numbers(&pinned(&bus).await, 3).await, [2, 3, 4]);
}
