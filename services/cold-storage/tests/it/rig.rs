//! A broker, an engine with both databases, and a stand-in for hot-storage.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::{Bus, Consumer, ConsumerConfig, NatsConfig, Outgoing, PublisherConfig, topology};
use marketprism_core::{DataType, Message, Subject, subject, topology as streams};
use marketprism_store::epoch::{Epoch, Reason};
use marketprism_store::{ClickHouseConfig, Entry, SchemaMode, Store, Tier};
use marketprism_testkit::{ClickHouse, NatsServer, Process, poll_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const TRADE_SUBJECT: &str = "trade.binance.spot.BTC-USDT";

pub(crate) struct Rig {
    pub(crate) nats: NatsServer,
    pub(crate) clickhouse: ClickHouse,
    pub(crate) hot: Store,
    pub(crate) cold: Store,
    dir: tempfile::TempDir,
    sql: clickhouse::Client,
    bus: Bus,
    consumer: Consumer,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let (nats, clickhouse) = (NatsServer::start(), ClickHouse::start());
        let store = |config: ClickHouseConfig| {
            Store::new(ClickHouseConfig { url: clickhouse.url(), ..config }).unwrap()
        };
        let (hot, cold) = (store(ClickHouseConfig::default()), store(ClickHouseConfig::cold()));
        let bus =
            Bus::connect(&NatsConfig { url: nats.url(), ..NatsConfig::default() }, "test").await.unwrap();
        let steps = topology::plan(&bus, &topology::defaults(), topology::Allow::default()).await.unwrap();
        topology::apply(&bus, &steps).await.unwrap();
        hot.migrate(Tier::Hot, SchemaMode::Apply).await.unwrap();
        let consumer = ConsumerConfig {
            durable: streams::hot_consumer(DataType::Trade),
            filter_subjects: vec![subject::filter(DataType::Trade)],
            ..ConsumerConfig::default()
        };
        let consumer = bus.consumer(streams::MARKET_DATA, consumer).await.unwrap();
        let stream_created_us = bus.stream_state(streams::MARKET_DATA).await.unwrap().created_us;
        let epoch = Epoch { number: 1, stream_created_us, last_sequence: 0 };
        hot.enter_epoch(streams::MARKET_DATA, &epoch, Reason::First).await.unwrap();
        let sql = clickhouse::Client::default()
            .with_url(clickhouse.url())
            .with_compression(clickhouse::Compression::None);
        Self { nats, clickhouse, hot, cold, dir: tempfile::tempdir().unwrap(), sql, bus, consumer }
    }

    /// Publishes trades with these ids and stores them in the hot tier. `acknowledge` says which of them, too.
    pub(crate) async fn store_trades(&self, ids: std::ops::Range<u64>, acknowledge: impl Fn(u64) -> bool) {
        let publisher = self.bus.publisher(PublisherConfig::default());
        for id in ids.clone() {
            let (subject, payload) = (TRADE_SUBJECT.to_owned(), Bytes::from(trade(id)));
            publisher.publish(Outgoing { subject, message_id: format!("{id}"), payload }).await.unwrap();
        }
        publisher.drain().await.unwrap();
        let mut left = ids.count();
        while left > 0 {
            let deliveries = self.consumer.next_batch(left, 64 << 20, Duration::from_secs(5)).await.unwrap();
            left -= deliveries.len();
            let subject = Subject::parse(TRADE_SUBJECT).unwrap();
            let messages: Vec<_> =
                deliveries.iter().map(|one| Message::decode(&subject, &one.payload).unwrap()).collect();
            let mut entries: Vec<_> = messages
                .iter()
                .zip(&deliveries)
                .map(|(message, one)| Entry { message, stream_epoch: 1, stream_seq: one.stream_sequence })
                .collect();
            entries.sort_by_key(Entry::day);
            for day in entries.chunk_by(|one, next| one.day() == next.day()) {
                self.hot.insert(day).await.unwrap();
            }
            for delivery in deliveries.iter().filter(|one| acknowledge(one.stream_sequence)) {
                delivery.ack_confirmed().await.unwrap();
            }
        }
    }

    pub(crate) fn spawn(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketprism-cold-storage"));
        command
            .args(arguments)
            .env("MARKETPRISM__NATS__URL", self.nats.url())
            .env("MARKETPRISM__HOT__URL", self.clickhouse.url())
            .env("MARKETPRISM__COLD__URL", self.clickhouse.url())
            .env("MARKETPRISM__WAIT", "1s")
            .env("MARKETPRISM__REPLICATION__INTERVAL", "100ms")
            .env("MARKETPRISM__REPLICATION__ROWS_MAX", "1000")
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", self.addresses_file(name))
            .envs(more.iter().copied());
        Process::spawn("cold-storage", command, &self.dir.path().join(format!("{name}.log")))
    }

    pub(crate) fn service(&self, name: &str) -> Process {
        let mut process = self.spawn(name, &[], &[]);
        process.wait_for_file(&self.addresses_file(name), DEADLINE);
        process
    }

    fn addresses_file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.addresses"))
    }

    pub(crate) async fn get(&self, name: &str, server: &str) -> String {
        let addresses = std::fs::read_to_string(self.addresses_file(name)).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        let mut stream = TcpStream::connect(addresses[server].as_str().unwrap()).await.unwrap();
        let request = format!("GET /{server} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) async fn number(&self, question: &str) -> u64 {
        self.sql.query_raw(question).fetch_one::<u64>().await.unwrap()
    }

    pub(crate) async fn run(&self, statement: &str) {
        self.sql.query_raw(statement).execute().await.unwrap();
    }

    pub(crate) async fn wait_for_watermark(&self, sequence: u64) {
        poll_until(DEADLINE, "the ledger covers it", async || {
            self.cold.watermark(DataType::Trade, 1).await.is_ok_and(|watermark| watermark == sequence)
        })
        .await;
    }

    /// Both tiers hold these trades, the same rows, each once.
    pub(crate) async fn assert_same(&self, trades: u64) {
        for tier in ["hot", "cold"] {
            assert_eq!(self.number(&format!("SELECT count() FROM marketprism_{tier}.trades")).await, trades);
        }
        let both = "SELECT count() FROM (SELECT * FROM marketprism_hot.trades INTERSECT DISTINCT \
                    SELECT * FROM marketprism_cold.trades)";
        assert_eq!(self.number(both).await, trades);
    }
}

/// A trade of 2026-10-08, one in three of the day before.
fn trade(id: u64) -> String {
    let event = 1_791_417_600_000_000 + i64::try_from(id).unwrap()
        - if id.is_multiple_of(3) { 60_000_000 } else { 0 };
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{id}","price":"100","quantity":"1","side":"buy"}}"#
    )
}
