//! Publishing: nothing lost, nothing doubled, losses told.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::topology::{Allow, apply, defaults, plan};
use marketprism_bus::{Bus, BusError, LossReason, NatsConfig, Outgoing, PublisherConfig};
use marketprism_testkit::{NatsServer, Proxy};

use crate::{PATIENCE, connect, consumer, number, pull, started, trade};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drained_is_stored_in_order() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig { in_flight_max: 64, ..PublisherConfig::default() });
    for n in 0..5_000 {
        publisher.publish(trade(n)).await.unwrap();
    }
    publisher.drain().await.unwrap();
    let state = bus.stream_state("MARKET_DATA").await.unwrap();
    assert_eq!((state.messages, state.first_sequence, state.last_sequence), (5_000, 1, 5_000));
    let all = pull(&consumer(&bus, "reader", Duration::from_secs(30)).await, 5_000).await;
    assert!(all.iter().enumerate().all(|(place, delivery)| number(delivery) == place as u64));
    assert_eq!(all[7].message_id(), Some("trade:7"));
    let last = bus.last_message("MARKET_DATA", "trade.binance.spot.S2").await.unwrap().unwrap();
    assert_eq!((last.sequence, last.message_id()), (4_998, Some("trade:4997")));
    assert_eq!(bus.last_message("MARKET_DATA", "trade.nobody.spot.X").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_is_one_message() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    for _ in 0..3 {
        publisher.publish(trade(1)).await.unwrap();
    }
    publisher.drain().await.unwrap();
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_and_stopped_while_publishing_loses_and_doubles_nothing() {
    const COUNT: u64 = 60_000;
    let (mut server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let feeder = publisher.clone();
    let feeding = tokio::task::JoinSet::from_iter([async move {
        for n in 0..COUNT {
            feeder.publish(trade(n)).await.unwrap();
        }
    }]);
    for kill in [true, false, true] {
        stored_more(&bus, 2_000).await;
        if kill {
            server.kill();
        } else {
            server.stop();
        }
        server.restart();
    }
    tokio::time::timeout(PATIENCE, feeding.join_all()).await.unwrap();
    tokio::time::timeout(PATIENCE, publisher.drain()).await.unwrap().unwrap();
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, COUNT, "lost or doubled");
    let reader = consumer(&bus, "reader", PATIENCE).await;
    let mut distinct = HashSet::new();
    while (distinct.len() as u64) < COUNT {
        for delivery in pull(&reader, 5_000).await {
            assert!(distinct.insert(number(&delivery)), "{} is doubled", number(&delivery));
            delivery.ack().await.unwrap();
        }
    }
}

/// Waits until the stream has grown by `count`, so that a restart comes in the middle of publishing.
async fn stored_more(bus: &Bus, count: u64) {
    let begun = stored(bus).await;
    until(async || stored(bus).await >= begun + count).await;
}

async fn stored(bus: &Bus) -> u64 {
    bus.stream_state("MARKET_DATA").await.map_or(0, |state| state.messages)
}

async fn until(reached: impl AsyncFn() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_the_duplicate_window_doubles_nothing() {
    let (server, direct) = started().await;
    let duplicate_window = Duration::from_millis(200);
    let mut desired = defaults();
    desired[0].duplicate_window = duplicate_window;
    let allow = Allow { shrink: true, ..Allow::default() };
    apply(&direct, &plan(&direct, &desired, allow).await.unwrap()).await.unwrap();

    let proxy = Proxy::start(&server.url()).await;
    let config = NatsConfig { url: proxy.url(), ..NatsConfig::default() };
    let bus = Bus::connect(&config, "bus-test").await.unwrap();
    let publisher = bus.publisher(PublisherConfig { duplicate_window, ..PublisherConfig::default() });
    publisher.publish(trade(0)).await.unwrap();
    publisher.drain().await.unwrap();

    proxy.mute();
    for n in 1..=10 {
        publisher.publish(trade(n)).await.unwrap();
    }
    until(async || stored(&direct).await == 11).await;
    // The window is over when the broker takes one id for two messages.
    let probe = direct.publisher(PublisherConfig::default());
    until(async || {
        probe.publish(trade(99)).await.unwrap();
        probe.drain().await.unwrap();
        stored(&direct).await == 13
    })
    .await;
    proxy.restore();
    proxy.reset();
    publisher.publish(trade(11)).await.unwrap();
    tokio::time::timeout(PATIENCE, publisher.drain()).await.unwrap().unwrap();
    assert_eq!(stored(&direct).await, 14, "lost or doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_without_a_stream_is_told_as_lost_and_stops_nothing_else() {
    let (_server, bus) = started().await;
    let patience = Duration::from_millis(200);
    let publisher =
        bus.publisher(PublisherConfig { no_stream_patience: patience, ..PublisherConfig::default() });
    let mut losses = publisher.take_losses().unwrap();
    assert!(publisher.take_losses().is_none());
    let stray = Outgoing { subject: "nobody.takes.this.X".to_owned(), ..trade(1) };
    publisher.publish(stray).await.unwrap();
    publisher.publish(trade(2)).await.unwrap();
    tokio::time::timeout(PATIENCE, publisher.drain()).await.unwrap().unwrap();
    let lost = losses.recv().await.unwrap();
    assert_eq!((lost.reason, lost.subject.as_str()), (LossReason::NoStream, "nobody.takes.this.X"));
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_created_within_the_patience_loses_nothing() {
    let server = NatsServer::start();
    let bus = connect(&server).await;
    let publisher = bus.publisher(PublisherConfig::default());
    publisher.publish(trade(1)).await.unwrap();
    let steps = plan(&bus, &defaults(), Allow::default()).await.unwrap();
    apply(&bus, &steps).await.unwrap();
    tokio::time::timeout(PATIENCE, publisher.drain()).await.unwrap().unwrap();
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_is_refused_and_the_connection_lives_on() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let huge = Outgoing { payload: Bytes::from(vec![b'x'; 1 << 20]), ..trade(1) };
    let error = publisher.publish(huge).await.unwrap_err();
    assert!(matches!(&error, BusError::PayloadTooLarge { bytes_max: 1_048_576, .. }), "{error}");
    let brim = "trade:2".len() + "NATS/1.0\r\nNats-Msg-Id: \r\n\r\n".len();
    let fits = Outgoing { payload: Bytes::from(vec![b'x'; (1 << 20) - brim]), ..trade(2) };
    publisher.publish(fits).await.unwrap();
    publisher.drain().await.unwrap();
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_cannot_carry_is_refused_or_told_as_lost() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let mut losses = publisher.take_losses().unwrap();
    for subject in ["", "trade.*", "trade.a b"] {
        let error =
            publisher.publish(Outgoing { subject: subject.to_owned(), ..trade(1) }).await.unwrap_err();
        assert!(matches!(error, BusError::Subject(_)), "{subject}");
    }
    let id = "1\r\nInjected: 2".to_owned();
    publisher.publish(Outgoing { message_id: id, ..trade(1) }).await.unwrap();
    publisher.drain().await.unwrap();
    assert_eq!(losses.recv().await.unwrap().reason, LossReason::Malformed);
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_bus_ends_the_publisher_and_says_so() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    publisher.publish(trade(1)).await.unwrap();
    publisher.drain().await.unwrap();
    bus.drain().await.unwrap();
    let stopped = tokio::time::timeout(PATIENCE, publisher.stopped()).await.unwrap();
    assert!(matches!(stopped, BusError::PublisherStopped));
    assert!(matches!(publisher.publish(trade(2)).await, Err(BusError::PublisherStopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_no_header_can_carry_is_lost_at_once_and_told_and_holds_nobody_up() {
    let (_server, bus) = started().await;
    let publisher = bus.publisher(PublisherConfig::default());
    let mut losses = publisher.take_losses().unwrap();
    let malformed = ["", " 1", "1\n2", "1\r\nNats-Expected-Stream: X", "1\u{0}", "1\u{7f}"];
    for id in malformed {
        let message = Outgoing { message_id: id.to_owned(), ..trade(0) };
        publisher.publish(message).await.unwrap();
    }
    publisher.publish(trade(1)).await.unwrap();
    tokio::time::timeout(PATIENCE, publisher.drain()).await.unwrap().unwrap();
    for id in malformed {
        let lost = losses.try_recv().unwrap();
        assert_eq!((lost.message_id.as_str(), lost.reason), (id, LossReason::Malformed));
    }
    assert_eq!(bus.stream_state("MARKET_DATA").await.unwrap().messages, 1);

    let subject = "trade.binance.spot.A\nPUB x 0".to_owned();
    let refused = publisher.publish(Outgoing { subject, ..trade(2) }).await;
    assert!(matches!(refused, Err(BusError::Subject(_))), "{refused:?}");
}
