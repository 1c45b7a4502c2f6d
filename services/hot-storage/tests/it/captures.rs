//! Captures through the whole path, replayed by the collector, published, stored: the views are what another program made of the
//! same captures. Its numbers are doubles, so ours are compared as doubles.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use flate2::read::MultiGzDecoder;
use marketprism_core::DataType;
use marketprism_testkit::{binary, captures_dir};
use serde_json::Value;

use crate::rig::Rig;

const FILES: [&str; 2] =
    ["nkaz001__hftbacktest/spot/ethusdt_20240808.gz", "nkaz001__hftbacktest/spot/ethusdt_20240809.gz"];
const REFERENCE: &str = "_reference_tardis/binance_spot_20240808_ethusdt.computed.jsonl.gz";

/// The messages of the captures, with their subjects.
fn replayed(folder: &Path) -> Vec<(String, String)> {
    let mut command = Command::new(binary("marketprism-collector"));
    command.args(["replay", "--format", "hbt", "--exchange", "binance", "--market", "spot"]);
    command.args(["--trade-stream", "trade", "--book-depth", "20"]);
    let output = command.args(FILES.map(|file| folder.join(file))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let message = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let part = |field: &str| value[field].as_str().unwrap().to_owned();
        let subject =
            format!("{}.{}.{}.{}", part("data_type"), part("exchange"), part("market_type"), part("symbol"));
        (subject, line.to_owned())
    };
    lines.lines().map(message).collect()
}

/// `2024-08-08T23:55:00.000Z` as ClickHouse prints it, without the fraction.
fn second(line: &Value) -> String {
    line["timestamp"].as_str().unwrap().replace('T', " ")[..19].to_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "for arrays' map")]
fn double(decimal: String) -> f64 {
    decimal.parse().unwrap()
}

#[tokio::test]
async fn bars_and_best_prices_are_those_of_another_program() {
    let Some(folder) = captures_dir() else {
        println!("skipped: no captures");
        return;
    };
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.publish(replayed(&folder)).await;
    for data_type in [DataType::Trade, DataType::OrderBook] {
        rig.wait_acknowledged(data_type).await;
    }
    // Decimals as text: the engine's own doubles of them are off in the last digit.
    let bars = rig
        .rows::<(String, String, String, String, String, String, String, u64)>(
            "SELECT toString(time + INTERVAL 1 MINUTE), toString(open), toString(high), toString(low), toString(close), \
             toString(volume), toString(buy_volume), trades FROM marketprism_hot.candles_1m",
        )
        .await;
    let mut prices_and_volumes = HashMap::new();
    for (time, open, high, low, close, volume, buy_volume, trades) in bars {
        prices_and_volumes.insert(time, ([open, high, low, close, volume, buy_volume].map(double), trades));
    }
    let best = rig
        .rows::<(i64, String, String, String, String)>(
            "SELECT toUnixTimestamp64Micro(time), toString(ifNull(bid_price, 0)), toString(ifNull(bid_quantity, 0)), \
             toString(ifNull(ask_price, 0)), toString(ifNull(ask_quantity, 0)) FROM marketprism_hot.best_bid_ask",
        )
        .await;
    let mut books: HashMap<i64, Vec<[f64; 4]>> = HashMap::new();
    for (time, bid, bid_quantity, ask, ask_quantity) in best {
        books.entry(time).or_default().push([bid, bid_quantity, ask, ask_quantity].map(double));
    }

    let (mut same_bars, mut same_books, mut snapshots) = (0, 0, 0);
    for line in BufReader::new(MultiGzDecoder::new(File::open(folder.join(REFERENCE)).unwrap())).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let number = |field: &str| line[field].as_f64().unwrap();
        if line["type"] == "trade_bar" && line["kind"] == "time" && line["interval"] == 60_000 {
            let ([prices @ .., volume, buy_volume], trades) = &prices_and_volumes[&second(&line)];
            assert_eq!(*prices, ["open", "high", "low", "close"].map(number), "{line}");
            assert_eq!(*trades, line["trades"].as_u64().unwrap(), "{line}");
            assert!((volume - number("volume")).abs() < 1e-6, "{line}: {volume}");
            assert!((buy_volume - number("buyVolume")).abs() < 1e-6, "{line}: {buy_volume}");
            same_bars += 1;
        } else if line["type"] == "book_snapshot" && line["interval"] == 0 {
            let level = |side: &str, field: &str| line[side][0][field].as_f64().unwrap();
            let theirs = [
                level("bids", "price"),
                level("bids", "amount"),
                level("asks", "price"),
                level("asks", "amount"),
            ];
            let time: String = line["timestamp"].as_str().unwrap().to_owned();
            let time = time.parse::<marketprism_core::Timestamp>().unwrap().as_micros();
            snapshots += 1;
            // Theirs of before the first book's snapshot have no counterpart.
            let Some(ours) = books.get(&time) else { continue };
            assert!(ours.contains(&theirs), "{line}: {ours:?}");
            same_books += 1;
        }
    }
    println!("{same_bars} bars and {same_books} of {snapshots} best prices are the same");
    assert!(same_bars >= 5 && same_books > 5_000);
    assert!(service.stop().success());
}
