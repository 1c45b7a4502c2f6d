//! Rows a second of trades through `Store::insert`: `cargo run --release --example insert_rate -p marketprism-store`.
//! Needs a ClickHouse at `http://127.0.0.1:8123`, or at the address given as argument; uses the database `insert_rate`.
#![allow(clippy::print_stdout, missing_docs, reason = "a program for a terminal")]

use std::time::Instant;

use marketprism_core::{Message, Subject};
use marketprism_store::{ClickHouseConfig, Entry, SchemaMode, Store, Tier};

/// Rows of one run: enough for ten inserts of the largest batch.
const ROWS: u64 = 1_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8123".to_owned());
    let store = Store::new(ClickHouseConfig {
        url,
        database: "insert_rate".to_owned(),
        ..ClickHouseConfig::default()
    })?;
    store.migrate(Tier::Hot, SchemaMode::Apply).await?;
    let subject = Subject::parse("trade.binance.spot.BTC-USDT")?;
    let first = store.highest_sequence(marketprism_core::DataType::Trade, 1).await?.unwrap_or_default() + 1;
    let payloads: Vec<String> = (0..100_000).map(trade).collect();
    let messages = payloads
        .iter()
        .map(|one| Message::decode(&subject, one.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut stream_seq = first;
    for batch_rows in [1_000, 10_000, 100_000] {
        let began = Instant::now();
        let mut rows: u64 = 0;
        for batch in messages.chunks(batch_rows).cycle() {
            let entries: Vec<_> = batch
                .iter()
                .zip(stream_seq..)
                .map(|(message, stream_seq)| Entry { message, stream_epoch: 1, stream_seq })
                .collect();
            store.insert(&entries).await?;
            stream_seq += batch.len() as u64;
            rows += batch.len() as u64;
            if rows >= ROWS {
                break;
            }
        }
        let millis = u64::try_from(began.elapsed().as_millis())?.max(1);
        println!("{batch_rows:>7} rows an insert: {:>9} rows/s", rows * 1_000 / millis);
    }
    Ok(())
}

fn trade(id: u64) -> String {
    let event = 1_791_417_600_000_000 + id * 137;
    format!(
        r#"{{"data_type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":{event},"ts_recv_us":{event},"source":"ws","schema":1,"trade_id":"{id}","price":"83434.{}","quantity":"0.016","side":"buy","is_maker_buyer":false}}"#,
        id % 100
    )
}
