//! The bus against a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod connect;
mod consumer;
mod dead_letters;
mod leases;
mod pins;
mod publisher;
mod requests;
mod subscription;
mod topology;

use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::topology::{Allow, apply, defaults, plan};
use marketprism_bus::{Bus, Consumer, ConsumerConfig, Delivery, NatsConfig, Outgoing};
use marketprism_testkit::NatsServer;

/// Bounds what should take milliseconds; only a defect or a stalled machine reaches it.
const PATIENCE: Duration = marketprism_testkit::DEADLINE;

async fn connect(server: &NatsServer) -> Bus {
    let config = NatsConfig { url: server.url(), ..NatsConfig::default() };
    Bus::connect(&config, "bus-test").await.unwrap()
}

/// A server with the streams of MarketPrism, and a connection to it.
async fn started() -> (NatsServer, Bus) {
    let server = NatsServer::start();
    let bus = connect(&server).await;
    let steps = plan(&bus, &defaults(), Allow::default()).await.unwrap();
    apply(&bus, &steps).await.unwrap();
    (server, bus)
}

fn trade(number: u64) -> Outgoing {
    Outgoing {
        subject: format!("trade.binance.spot.S{}", number % 5),
        message_id: format!("trade:{number}"),
        payload: Bytes::from(number.to_string()),
    }
}

async fn consumer(bus: &Bus, durable: &str, ack_wait: Duration) -> Consumer {
    let config = ConsumerConfig {
        durable: durable.to_owned(),
        filter_subjects: vec!["trade.>".to_owned()],
        ack_wait,
        ..ConsumerConfig::default()
    };
    bus.consumer("MARKET_DATA", config).await.unwrap()
}

/// Pulls until `count` messages came, without answering them.
async fn pull(consumer: &Consumer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    let enough = async {
        while all.len() < count {
            all.extend(
                consumer.next_batch(count - all.len(), 1 << 20, Duration::from_secs(1)).await.unwrap(),
            );
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, enough).await;
    assert!(arrived.is_ok(), "{} of {count} messages came", all.len());
    all
}

fn number(delivery: &Delivery) -> u64 {
    std::str::from_utf8(&delivery.payload).unwrap().parse().unwrap()
}
