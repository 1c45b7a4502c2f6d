//! How fast the publisher is, beside the bare client on the same broker in the same run; the ratio is what to compare.
//!
//! `cargo run --release -p marketprism-bus --example publish_rate [MESSAGES]`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic, clippy::cast_precision_loss)]

use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use marketprism_bus::topology::{Allow, apply, defaults, plan};
use marketprism_bus::{Bus, NatsConfig, Outgoing, PublisherConfig};
use marketprism_testkit::NatsServer;

const WINDOW: usize = 1024;
const PAYLOAD_BYTES: usize = 300;

#[tokio::main]
async fn main() {
    let messages = std::env::args().nth(1).map_or(1_000_000, |count| count.parse::<u64>().unwrap());
    let server = NatsServer::start();
    let bus = Bus::connect(&NatsConfig { url: server.url(), ..NatsConfig::default() }, "publish-rate")
        .await
        .unwrap();
    apply(&bus, &plan(&bus, &defaults(), Allow::default()).await.unwrap()).await.unwrap();
    for round in 1..=2 {
        let bare = rate(messages, bare_client(&server.url(), messages, round)).await;
        let ours = rate(messages, publisher(&bus, messages, round)).await;
        println!(
            "round {round}: {messages} messages of {PAYLOAD_BYTES} B with ids, window {WINDOW}: \
             publisher {ours:.0}/s, bare client {bare:.0}/s, ratio {:.2}",
            ours / bare
        );
    }
    let stored = bus.stream_state("MARKET_DATA").await.unwrap().messages;
    assert_eq!(stored, 4 * messages, "lost or doubled");
}

async fn rate(messages: u64, work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    messages as f64 / begun.elapsed().as_secs_f64()
}

async fn publisher(bus: &Bus, messages: u64, round: u32) {
    let publisher = bus.publisher(PublisherConfig { in_flight_max: WINDOW, ..PublisherConfig::default() });
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    for n in 0..messages {
        let (subject, message_id) = ("trade.binance.spot.BTC-USDT".to_owned(), format!("ours:{round}:{n}"));
        publisher.publish(Outgoing { subject, message_id, payload: payload.clone() }).await.unwrap();
    }
    publisher.drain().await.unwrap();
}

async fn bare_client(url: &str, messages: u64, round: u32) {
    let jetstream = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let mut acks = FuturesUnordered::new();
    for n in 0..messages {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("bare:{round}:{n}").as_str());
        let sent = jetstream
            .publish_with_headers("trade.binance.spot.BTC-USDT", headers, payload.clone())
            .await
            .unwrap();
        acks.push(sent.into_future());
        if acks.len() >= WINDOW {
            acks.next().await.unwrap().unwrap();
        }
    }
    while let Some(ack) = acks.next().await {
        ack.unwrap();
    }
}
