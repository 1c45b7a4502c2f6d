//! A broker, an engine and hot-storage between them, looked at from outside.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::{Bus, NatsConfig, topology};
use marketprism_core::{DataType, topology as streams};
use marketprism_store::{ClickHouseConfig, Credential, Store};
use marketprism_testkit::{ClickHouse, NatsServer, Process, poll_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DEADLINE: Duration = marketprism_testkit::DEADLINE;
pub(crate) const TRADE_SUBJECT: &str = "trade.binance.spot.BTC-USDT";

pub(crate) struct Rig {
    pub(crate) nats: NatsServer,
    pub(crate) clickhouse: ClickHouse,
    pub(crate) dir: tempfile::TempDir,
    sql: clickhouse::Client,
}

impl Rig {
    /// Both servers, and the streams.
    pub(crate) async fn start() -> Self {
        let rig = Self::without_streams();
        rig.apply_streams().await;
        rig
    }

    pub(crate) fn without_streams() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nats = NatsServer::start_in(&dir.path().join("nats"));
        let clickhouse = ClickHouse::start();
        let sql = clickhouse::Client::default()
            .with_url(clickhouse.url())
            .with_user("default")
            .with_password(clickhouse.password())
            .with_compression(clickhouse::Compression::None);
        Self { nats, clickhouse, dir, sql }
    }

    pub(crate) async fn apply_streams(&self) {
        let bus = self.bus().await;
        let steps = topology::plan(&bus, &topology::defaults(), topology::Allow::default()).await.unwrap();
        topology::apply(&bus, &steps).await.unwrap();
    }

    pub(crate) async fn bus(&self) -> Bus {
        Bus::connect(&NatsConfig { url: self.nats.url(), ..NatsConfig::default() }, "test").await.unwrap()
    }

    /// Asks the broker's own interface, as an operator's tool does, and returns its answer.
    pub(crate) async fn jetstream(&self, subject: &str, payload: &serde_json::Value) -> serde_json::Value {
        let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
        let answer = self.bus().await.ask(&format!("$JS.API.{subject}"), payload.into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }

    /// Sets a field of the configuration of the stream of trades.
    pub(crate) async fn limit_stream(&self, field: &str, limit: i64) {
        let stream = streams::MARKET_DATA;
        let info = self.jetstream(&format!("STREAM.INFO.{stream}"), &serde_json::Value::Null).await;
        let mut config = info["config"].clone();
        config[field] = limit.into();
        self.jetstream(&format!("STREAM.UPDATE.{stream}"), &config).await;
    }

    pub(crate) fn store(&self) -> Store {
        let password = Credential::new(self.clickhouse.password().to_owned());
        let config = ClickHouseConfig { url: self.clickhouse.url(), password, ..ClickHouseConfig::default() };
        Store::new(config).unwrap()
    }

    /// hot-storage, without waiting for anything.
    pub(crate) fn spawn(&self, name: &str, more: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketprism-hot-storage"));
        command
            .env("MARKETPRISM__NATS__URL", self.nats.url())
            .env("MARKETPRISM__CLICKHOUSE__URL", self.clickhouse.url())
            .env("MARKETPRISM__CLICKHOUSE__PASSWORD", self.clickhouse.password())
            .env("MARKETPRISM__WAIT", "1s")
            .env("MARKETPRISM__ACK_WAIT", "4s")
            .env("MARKETPRISM__CLICKHOUSE__INSERT_TIMEOUT", "2s")
            .env("MARKETPRISM__BATCH__AGE_MAX", "100ms")
            .env("MARKETPRISM__RETRY__MAX", "500ms")
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", self.addresses_file(name))
            .envs(more.iter().copied());
        Process::spawn("hot-storage", command, &self.dir.path().join(format!("{name}.log")))
    }

    /// hot-storage, healthy.
    pub(crate) async fn service(&self, name: &str) -> Process {
        self.service_with(name, &[]).await
    }

    /// hot-storage with more of its configuration, healthy.
    pub(crate) async fn service_with(&self, name: &str, more: &[(&str, &str)]) -> Process {
        let mut process = self.spawn(name, more);
        process.wait_for_file(&self.addresses_file(name), DEADLINE);
        poll_until(DEADLINE, "hot-storage is healthy", async || self.health(name).await.0 == 200).await;
        process
    }

    /// Whether this instance is the one that gets the trades.
    pub(crate) async fn is_pinned(&self, name: &str) -> bool {
        self.metrics(name).await.contains(r#"marketprism_storage_pinned{data_type="trade"} 1"#)
    }

    fn addresses_file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.addresses"))
    }

    /// Status and body of `/health`.
    pub(crate) async fn health(&self, name: &str) -> (u16, String) {
        self.get(name, "health", "/health").await
    }

    pub(crate) async fn metrics(&self, name: &str) -> String {
        self.get(name, "metrics", "/metrics").await.1
    }

    /// Addresses and paths of what an operator and Prometheus ask for.
    pub(crate) fn admin_pages(&self, name: &str) -> [(String, &'static str); 2] {
        [(self.address(name, "health"), "/health"), (self.address(name, "metrics"), "/metrics")]
    }

    fn address(&self, name: &str, server: &str) -> String {
        let addresses = std::fs::read_to_string(self.addresses_file(name)).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        addresses[server].as_str().unwrap().to_owned()
    }

    async fn get(&self, name: &str, server: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address(name, server)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }

    /// Publishes as the collector does, and waits until all of it is in the stream.
    pub(crate) async fn publish(&self, messages: impl IntoIterator<Item = (String, String)>) {
        let bus = self.bus().await;
        let publisher = bus.publisher(marketprism_bus::PublisherConfig::default());
        for (at, (subject, payload)) in messages.into_iter().enumerate() {
            let message_id = format!("{subject}:{at}:{payload}");
            let payload = Bytes::from(payload);
            publisher.publish(marketprism_bus::Outgoing { subject, message_id, payload }).await.unwrap();
        }
        publisher.drain().await.unwrap();
    }

    /// Trades with these ids.
    pub(crate) async fn publish_trades(&self, ids: std::ops::Range<u64>) {
        self.publish(ids.map(|id| (TRADE_SUBJECT.to_owned(), trade(id)))).await;
    }

    /// The one value that answers a question.
    pub(crate) async fn number(&self, question: &str) -> u64 {
        self.sql.query_raw(question).fetch_one::<u64>().await.unwrap()
    }

    /// The rows that answer a question.
    pub(crate) async fn rows<T>(&self, question: &str) -> Vec<T>
    where
        T: clickhouse::RowOwned + clickhouse::RowRead,
    {
        self.sql.query_raw(question).fetch_all::<T>().await.unwrap()
    }

    pub(crate) async fn run(&self, statement: &str) {
        self.sql.query_raw(statement).execute().await.unwrap();
    }

    /// Waits until the broker has every message of a data type acknowledged or rejected, then compares: each trade once.
    pub(crate) async fn assert_trades(&self, expected: u64) {
        self.wait_acknowledged(DataType::Trade).await;
        let rows = self.number("SELECT count() FROM marketprism_hot.trades").await;
        let trades = self.number("SELECT uniqExact(trade_id) FROM marketprism_hot.trades").await;
        assert_eq!((rows, trades), (expected, expected));
    }

    pub(crate) async fn wait_acknowledged(&self, data_type: DataType) {
        let bus = self.bus().await;
        let stream = streams::stream_of(data_type);
        let last = bus.stream_state(stream).await.unwrap().last_sequence;
        poll_until(DEADLINE, "everything is acknowledged", async || {
            bus.ack_floor(stream, &streams::hot_consumer(data_type)).await.unwrap() == Some(last)
        })
        .await;
    }
}

/// A trade of 2026-10-08, one in three of the day before.
pub(crate) fn trade(id: u64) -> String {
    let event = 1_791_417_600_000_000 + i64::try_from(id).unwrap()
        - if id.is_multiple_of(3) { 60_000_000 } else { 0 };
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{id}","price":"100","quantity":"1","side":"buy"}}"#
    )
}
