//! Measures insert rates over HTTP: rows/s and latency per format, batch size and number of clients.
//!
//! `cargo run --release -p marketprism-embedded-clickhouse --example engine_insert_rate -- http://127.0.0.1:8123 [seconds per case]`
//! It creates and drops a database called `insert_rate`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_arithmetic
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

const TABLE: &str = "CREATE TABLE insert_rate.t (ts DateTime64(6, 'UTC'), exchange LowCardinality(String), \
    market_type LowCardinality(String), symbol LowCardinality(String), trade_id UInt64, price Decimal(38, 18), \
    quantity Decimal(38, 18), side LowCardinality(String), is_maker Bool, ts_recv DateTime64(6, 'UTC'), stream_epoch UInt32, \
    stream_seq UInt64) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts) ORDER BY (exchange, symbol, ts)";

const ROWS: &str = "SELECT toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + number / 1000 AS ts, 'binance' AS exchange, \
    'spot' AS market_type, ['BTC-USDT', 'ETH-USDT', 'SOL-USDT'][number % 3 + 1] AS symbol, number AS trade_id, \
    toDecimal128(60000 + number % 1000, 18) AS price, toDecimal128(number % 97, 18) AS quantity, 'buy' AS side, \
    true AS is_maker, ts AS ts_recv, toUInt32(1) AS stream_epoch, number AS stream_seq FROM numbers({rows})";

fn main() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("the engine's URL");
    let seconds = arguments.next().map_or(5, |text| text.parse().expect("seconds per case"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&url, Duration::from_secs(seconds)));
}

async fn measure(url: &str, time: Duration) {
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
    println!("| format | rows | clients | rows/s | p50 ms | p99 ms |\n|---|---|---|---|---|---|");
    for (format, batch) in
        [("RowBinary", 1_000), ("RowBinary", 10_000), ("RowBinary", 100_000), ("Native", 100_000)]
    {
        let sql = ROWS.replace("{rows}", &batch.to_string());
        // The same types as the table's, so that Native needs no conversion.
        post(&http, url, "DROP DATABASE IF EXISTS insert_rate".into()).await;
        post(&http, url, "CREATE DATABASE insert_rate".into()).await;
        post(&http, url, TABLE.into()).await;
        post(&http, url, format!("INSERT INTO insert_rate.t {sql}").into()).await;
        let data = post(&http, url, format!("SELECT * FROM insert_rate.t FORMAT {format}").into()).await;
        for clients in [1, 2, 4] {
            post(&http, url, "TRUNCATE TABLE insert_rate.t".into()).await;
            let mut latencies = run(&http, url, format, &data, clients, time).await;
            latencies.sort();
            let total = (latencies.len() * batch) as f64;
            let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
            println!(
                "| {format} | {batch} | {clients} | {:.0} | {:.1} | {:.1} |",
                total / time.as_secs_f64(),
                at(50),
                at(99)
            );
        }
    }
    post(&http, url, "DROP DATABASE insert_rate".into()).await;
}

/// Latencies of the inserts that ended within `time`.
async fn run(
    http: &reqwest::Client,
    url: &str,
    format: &str,
    data: &Bytes,
    clients: usize,
    time: Duration,
) -> Vec<Duration> {
    let target = Arc::new(format!("{url}/?async_insert=0&query=INSERT+INTO+insert_rate.t+FORMAT+{format}"));
    let end = Instant::now() + time;
    let mut writers = JoinSet::new();
    for _ in 0..clients {
        let (http, target, data) = (http.clone(), Arc::clone(&target), data.clone());
        writers.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let begun = Instant::now();
                post(&http, &target, data.clone()).await;
                latencies.push(begun.elapsed());
            }
            latencies
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

async fn post(http: &reqwest::Client, url: &str, body: Bytes) -> Bytes {
    let response = http.post(url).body(body).send().await.unwrap();
    let status = response.status();
    let answer = response.bytes().await.unwrap();
    assert!(status.is_success(), "{}", String::from_utf8_lossy(&answer));
    answer
}
