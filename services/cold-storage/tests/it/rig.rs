//! A broker, an engine with both databases or one for each tier, and a stand-in for hot-storage.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use marketprism_bus::{Bus, Consumer, ConsumerConfig, NatsConfig, Outgoing, PublisherConfig, topology};
use marketprism_core::{DataType, Message, Subject, subject, topology as streams};
use marketprism_store::epoch::{Epoch, Reason};
use marketprism_store::range::Range;
use marketprism_store::{ClickHouseConfig, Credential, Entry, SchemaMode, Store, StoreError, Tier};
use marketprism_testkit::{ClickHouse, NatsServer, Process, poll_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DEADLINE: Duration = marketprism_testkit::DEADLINE;
const TRADE_SUBJECT: &str = "trade.binance.spot.BTC-USDT";

pub(crate) struct Rig {
    pub(crate) nats: NatsServer,
    pub(crate) clickhouse: ClickHouse,
    /// Where the cold tier has an engine of its own.
    pub(crate) cold_clickhouse: Option<ClickHouse>,
    pub(crate) hot: Store,
    pub(crate) cold: Store,
    dir: tempfile::TempDir,
    hot_sql: clickhouse::Client,
    cold_sql: clickhouse::Client,
    pub(crate) bus: Bus,
    consumer: Consumer,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::launch(None).await
    }

    /// With an engine for each tier, to be killed one by one.
    pub(crate) async fn start_with_two_engines() -> Self {
        Self::launch(Some(ClickHouse::start())).await
    }

    async fn launch(cold_clickhouse: Option<ClickHouse>) -> Self {
        let (nats, clickhouse) = (NatsServer::start(), ClickHouse::start());
        let cold_server = cold_clickhouse.as_ref().unwrap_or(&clickhouse);
        let store = |server: &ClickHouse, config: ClickHouseConfig| {
            let password = Credential::new(server.password().to_owned());
            Store::new(ClickHouseConfig { url: server.url(), password, ..config }).unwrap()
        };
        let hot = store(&clickhouse, ClickHouseConfig::default());
        let cold = store(cold_server, ClickHouseConfig::cold());
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
        let [hot_sql, cold_sql] = [&clickhouse, cold_server].map(|server| {
            clickhouse::Client::default()
                .with_url(server.url())
                .with_user("default")
                .with_password(server.password())
                .with_compression(clickhouse::Compression::None)
        });
        let dir = tempfile::tempdir().unwrap();
        Self { nats, clickhouse, cold_clickhouse, hot, cold, dir, hot_sql, cold_sql, bus, consumer }
    }

    /// Publishes trades with these ids and stores them in the hot tier, one in three of the day before. `acknowledge`
    /// says which of them, too.
    pub(crate) async fn store_trades(&self, ids: std::ops::Range<u64>, acknowledge: impl Fn(u64) -> bool) {
        self.store_trades_of(ids, |id| TODAY - i64::from(id.is_multiple_of(3)), acknowledge).await;
    }

    /// The same with the day of each trade, in days since 1970.
    pub(crate) async fn store_trades_of(
        &self,
        ids: std::ops::Range<u64>,
        day: impl Fn(u64) -> i64,
        acknowledge: impl Fn(u64) -> bool,
    ) {
        let publisher = self.bus.publisher(PublisherConfig::default());
        for id in ids.clone() {
            let (subject, payload) = (TRADE_SUBJECT.to_owned(), Bytes::from(trade(id, day(id))));
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

    /// Ends epoch 1, so that all that is stored of it may be copied, acknowledged or not.
    pub(crate) async fn end_epoch(&self) {
        let next = Epoch { number: 2, stream_created_us: 1, last_sequence: 0 };
        self.hot.enter_epoch(streams::MARKET_DATA, &next, Reason::Recreated).await.unwrap();
    }

    /// Rows in the hot tier without messages behind them: many, quickly. Their trade ids are no numbers, so none is missing.
    pub(crate) async fn fill(&self, from_seq: u64, rows: u64, day: i64, created_at: &str) {
        self.run(&format!(
            "INSERT INTO marketprism_hot.trades (timestamp, exchange, market_type, symbol, instrument_id, trade_id, price, \
             quantity, side, ts_recv, timestamp_source, data_source, message_schema, stream_epoch, stream_seq, created_at) \
             SELECT fromUnixTimestamp64Micro(toInt64({day} * 86400000000 + number), 'UTC') AS at, 'binance', 'spot', \
             concat('S', toString(number % 50), '-USDT'), 'S', concat('f', toString({from_seq} + number)), number % 1000, 1, 'buy', at, \
             'exchange', 'ws', 1, 1, {from_seq} + number, {created_at} FROM numbers({rows})"
        ))
        .await;
    }

    /// The stream forgets its messages, as it does after its `max_age`.
    pub(crate) async fn purge_stream(&self) {
        let subject = format!("$JS.API.STREAM.PURGE.{}", streams::MARKET_DATA);
        let answer = self.bus.ask(&subject, Bytes::new()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("\"success\":true"));
    }

    /// Copies a range as a run does that ends before it enters it in the ledger.
    pub(crate) async fn copy(&self, range: &Range) {
        self.cold.copy_missing(&self.hot, range, || async { Ok::<_, StoreError>(()) }).await.unwrap();
    }

    pub(crate) fn spawn(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marketprism-cold-storage"));
        let cold = self.cold_clickhouse.as_ref().unwrap_or(&self.clickhouse);
        command
            .args(arguments)
            .env("MARKETPRISM__NATS__URL", self.nats.url())
            .env("MARKETPRISM__HOT__URL", self.clickhouse.url())
            .env("MARKETPRISM__HOT__PASSWORD", self.clickhouse.password())
            .env("MARKETPRISM__COLD__URL", cold.url())
            .env("MARKETPRISM__COLD__PASSWORD", cold.password())
            .env("MARKETPRISM__WAIT", "1s")
            .env("MARKETPRISM__REPLICATION__INTERVAL", "100ms")
            .env("MARKETPRISM__REPLICATION__TAKEOVER_AFTER", "5s")
            .env("MARKETPRISM__REPLICATION__ROWS_MAX", "1000")
            .env("MARKETPRISM__RELEASE__RETENTION", "10000days")
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", self.addresses_file(name))
            .envs(more.iter().copied());
        Process::spawn("cold-storage", command, &self.dir.path().join(format!("{name}.log")))
    }

    pub(crate) fn service(&self, name: &str) -> Process {
        self.service_with(name, &[])
    }

    pub(crate) fn service_with(&self, name: &str, more: &[(&str, &str)]) -> Process {
        let mut process = self.spawn(name, &[], more);
        process.wait_for_file(&self.addresses_file(name), DEADLINE);
        process
    }

    fn addresses_file(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.addresses"))
    }

    /// `health` or `metrics`.
    pub(crate) fn address(&self, name: &str, server: &str) -> String {
        let addresses = std::fs::read_to_string(self.addresses_file(name)).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        addresses[server].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, name: &str, server: &str) -> String {
        let mut stream = TcpStream::connect(self.address(name, server)).await.unwrap();
        let request = format!("GET /{server} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Asks the engine of the tier that the question names.
    pub(crate) async fn number(&self, question: &str) -> u64 {
        self.engine_of(question).query_raw(question).fetch_one::<u64>().await.unwrap()
    }

    pub(crate) async fn run(&self, statement: &str) {
        self.engine_of(statement).query_raw(statement).execute().await.unwrap();
    }

    fn engine_of(&self, statement: &str) -> &clickhouse::Client {
        if statement.contains("marketprism_cold.") { &self.cold_sql } else { &self.hot_sql }
    }

    pub(crate) async fn wait_for_watermark(&self, sequence: u64) {
        poll_until(DEADLINE, "the ledger covers it", async || {
            self.cold.watermark(DataType::Trade, 1).await.is_ok_and(|watermark| watermark == sequence)
        })
        .await;
    }

    /// Both tiers hold these trades, the same rows, each once.
    pub(crate) async fn assert_same(&self, trades: u64) {
        let [hot, cold] = ["hot", "cold"].map(|tier| {
            format!(
                "SELECT count(), uniqExact(stream_seq), uniqExact(trade_id), sum(cityHash64(*)) \
                 FROM (SELECT * EXCEPT (is_maker, contracts, first_trade_id, last_trade_id, trade_sequence) \
                 FROM marketprism_{tier}.trades)"
            )
        });
        let hot = self.hot_sql.query_raw(&hot).fetch_one::<(u64, u64, u64, u64)>().await.unwrap();
        let cold = self.cold_sql.query_raw(&cold).fetch_one::<(u64, u64, u64, u64)>().await.unwrap();
        assert_eq!(hot, cold);
        assert_eq!((hot.0, hot.1, hot.2), (trades, trades, trades));
    }
}

/// 2026-01-06, in days since 1970: old enough to be released.
pub(crate) const TODAY: i64 = 20_459;

/// A trade as many microseconds after the beginning of a day as its id says.
fn trade(id: u64, day: i64) -> String {
    let event = day * 86_400_000_000 + i64::try_from(id).unwrap();
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{id}","price":"100","quantity":"1","side":"buy"}}"#
    )
}
