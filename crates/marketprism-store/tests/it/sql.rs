//! A tier on its own engine, looked at with plain SQL, not through the code under test.

use marketprism_core::{Message, Subject};
use marketprism_store::{ClickHouseConfig, Credential, Entry, SchemaMode, Store, Tier};
use marketprism_testkit::ClickHouse;

pub(crate) struct Sql(clickhouse::Client);

impl Sql {
    pub(crate) fn new(server: &ClickHouse, database: &str) -> Self {
        let client = clickhouse::Client::default()
            .with_url(server.url())
            .with_user("default")
            .with_password(server.password())
            .with_database(database);
        Self(client.with_compression(clickhouse::Compression::None))
    }

    /// The answer, one line a row, tabs between columns.
    pub(crate) async fn ask(&self, question: &str) -> Vec<String> {
        self.ask_in(question, "TSVRaw").await
    }

    pub(crate) async fn ask_in(&self, question: &str, format: &str) -> Vec<String> {
        let mut cursor = self.0.query_raw(question).fetch_bytes(format).unwrap();
        let bytes = cursor.collect().await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) async fn run(&self, statement: &str) {
        self.0.query_raw(statement).execute().await.unwrap();
    }
}

pub(crate) fn config(server: &ClickHouse, database: &str) -> ClickHouseConfig {
    ClickHouseConfig {
        url: server.url(),
        password: Credential::new(server.password().to_owned()),
        database: database.to_owned(),
        ..ClickHouseConfig::default()
    }
}

pub(crate) async fn tier(server: &ClickHouse, tier: Tier) -> (Store, Sql) {
    let database = format!("test_{}", tier.as_str());
    let store = Store::new(config(server, &database)).unwrap();
    store.migrate(tier, SchemaMode::Apply).await.unwrap();
    (store, Sql::new(server, &database))
}

/// A trade whose id is its sequence, `seconds` after a minute before midnight.
pub(crate) fn trade(sequence: u64, seconds: i64) -> String {
    let event = 1_791_417_540_000_000 + seconds * 1_000_000;
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{sequence}","price":"100.{sequence}","quantity":"1","side":"buy"}}"#
    )
}

pub(crate) fn decode<'a>(subject: &str, payload: &'a str) -> Message<'a> {
    Message::decode(&Subject::parse(subject).unwrap(), payload.as_bytes()).unwrap()
}

/// Inserts trades with these sequences and seconds, one insert for each day.
pub(crate) async fn insert_trades(store: &Store, stream_epoch: u32, trades: &[(u64, i64)]) {
    let payloads: Vec<_> = trades.iter().map(|(sequence, seconds)| trade(*sequence, *seconds)).collect();
    let messages: Vec<_> = payloads.iter().map(|one| decode("trade.binance.spot.BTC-USDT", one)).collect();
    let entries: Vec<_> = messages
        .iter()
        .zip(trades)
        .map(|(message, (stream_seq, _))| Entry { message, stream_epoch, stream_seq: *stream_seq })
        .collect();
    for day in entries.chunk_by(|one, next| one.day() == next.day()) {
        store.insert(day).await.unwrap();
    }
}
