//! Traffic recorded by others, replayed. The captures are not part of this repository; without them these tests
//! say so and pass. `MARKETPRISM_CAPTURES` names their folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use marketprism_core::{DataType, Decimal, GapReason, MarketType, TakerSide, Timestamp};
use marketprism_exchanges::registry::SessionConfig;
use serde_json::Value;

use crate::driver::{BOTH, Driver, options, pair};

/// One line of a capture.
enum Line {
    Frame(Timestamp, String),
    /// A REST depth answer; the symbol where the recording says it.
    Snapshot(Timestamp, Option<String>, String),
}

impl Line {
    fn time(&self) -> Timestamp {
        match self {
            Self::Frame(time, _) | Self::Snapshot(time, ..) => *time,
        }
    }
}

pub fn folder() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let folder = std::env::var("MARKETPRISM_CAPTURES").map_or(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no captures (set MARKETPRISM_CAPTURES)");
    None
}

/// `<receive time, ns> <frame>`, gzip.
fn hbt(folder: &Path, files: &[&str]) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in files {
        let path = folder.join("nkaz001__hftbacktest").join(file);
        for line in BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).lines() {
            let line = line.unwrap();
            let (nanos, frame) = line.split_once(' ').unwrap();
            let time = Timestamp::from_nanos(nanos.parse().unwrap()).unwrap();
            lines.push(match frame.starts_with("{\"lastUpdateId\"") {
                true => Line::Snapshot(time, None, frame.to_owned()),
                false => Line::Frame(time, frame.to_owned()),
            });
        }
    }
    lines
}

/// `<receive time, s>: <frame>` and `<url> -> <time>: <body>`, several files merged by time.
fn cryptofeed(folder: &Path, files: &[&str]) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in files {
        let path = folder.join("bmoscon__cryptofeed").join(file);
        for line in BufReader::new(File::open(path).unwrap()).lines() {
            let line = line.unwrap();
            if let Some((url, rest)) = line.split_once(" -> ") {
                let Some(symbol) =
                    url.split_once("depth?symbol=").map(|(_, rest)| rest.split('&').next().unwrap())
                else {
                    continue;
                };
                let (time, body) = rest.split_once(": ").unwrap();
                lines.push(Line::Snapshot(seconds(time), Some(symbol.to_owned()), body.to_owned()));
            } else if let Some((time, frame)) = line.split_once(": ")
                && frame.starts_with("{\"stream\"")
            {
                lines.push(Line::Frame(seconds(time), frame.to_owned()));
            }
        }
    }
    lines.sort_by_key(Line::time);
    lines
}

pub fn seconds(text: &str) -> Timestamp {
    let (whole, fraction) = text.split_once('.').unwrap();
    let micros = format!("{fraction:0<6}")[..6].parse::<i64>().unwrap();
    Timestamp::from_micros(whole.parse::<i64>().unwrap() * 1_000_000 + micros).unwrap()
}

#[derive(Debug, Default)]
struct Outcome {
    compared: usize,
    backfills: Vec<String>,
    depth_events: u64,
    synced: usize,
    /// Per instrument id.
    trades: HashMap<String, Vec<(u64, Decimal, Decimal, TakerSide)>>,
}

type Top = [(Decimal, Decimal); 2];

/// Replays a capture and compares the book with every bookTicker of the same update id.
fn replay(
    integration: &str,
    symbols: &[(&str, &str)],
    trade_stream: &str,
    lines: &[Line],
) -> (Driver, Outcome) {
    let market_type = if integration == "binance_spot" { MarketType::Spot } else { MarketType::Perpetual };
    let config = SessionConfig {
        instruments: symbols.iter().map(|(base, quote)| pair(market_type, base, quote)).collect(),
        data_types: BOTH.to_vec(),
        options: marketprism_exchanges::registry::SessionOptions {
            trade_stream: Some(trade_stream.to_owned()),
            ..options()
        },
        seeds: Vec::new(),
    };
    let mut driver = Driver::new(integration, config);
    let mut outcome = Outcome::default();
    let mut tickers: HashMap<(String, u64), Top> = HashMap::new();
    let mut books: HashMap<(String, u64), Top> = HashMap::new();
    let mut open: HashMap<String, marketprism_exchanges::RequestId> = HashMap::new();
    let mut snapshots: HashMap<String, String> = HashMap::new();
    driver.now = lines[0].time();
    driver.opened();
    let mut seen = 0;
    for line in lines {
        driver.now = line.time();
        match line {
            Line::Frame(_, frame) if frame.contains("@bookTicker\"") => {
                let data = &serde_json::from_str::<Value>(frame).unwrap()["data"];
                let key = (data["s"].as_str().unwrap().to_owned(), data["u"].as_u64().unwrap());
                let level = |price: &str, quantity: &str| (decimal(&data[price]), decimal(&data[quantity]));
                tickers.insert(key, [level("b", "B"), level("a", "A")]);
            }
            Line::Frame(_, frame) if frame.contains("@kline") => {}
            Line::Frame(_, frame) => {
                outcome.depth_events += u64::from(frame.contains("@depth"));
                driver.frame(frame).unwrap();
            }
            Line::Snapshot(_, symbol, body) => {
                let symbol = symbol.clone().unwrap_or_else(|| format!("{}{}", symbols[0].0, symbols[0].1));
                snapshots.insert(symbol, body.clone());
            }
        }
        driver.tick();
        for request in driver.take_requests() {
            if request.path.contains("Trades?") {
                outcome.backfills.push(request.path);
                let no_archive = marketprism_exchanges::FetchFailed::Transport("no archive".into());
                driver.fetched(request.id, Err(no_archive)).unwrap();
                continue;
            }
            let symbol = request.path.split_once("symbol=").unwrap().1.split('&').next().unwrap().to_owned();
            open.insert(symbol, request.id);
        }
        let answerable: Vec<String> =
            open.keys().filter(|symbol| snapshots.contains_key(*symbol)).cloned().collect();
        for symbol in answerable {
            let (id, body) = (open.remove(&symbol).unwrap(), snapshots.remove(&symbol).unwrap());
            driver.fetched(id, Ok(body.as_bytes())).unwrap();
        }
        for payload in &driver.recorded.messages[seen..] {
            if payload.starts_with("{\"data_type\":\"orderbook\"") {
                let book: marketprism_core::message::OrderBook<'_> = serde_json::from_str(payload).unwrap();
                let best = [book.bids[0], book.asks[0]].map(|level| (level.price, level.quantity));
                books.insert((book.instrument_id.into_owned(), book.last_update_id), best);
            }
        }
        seen = driver.recorded.messages.len();
    }
    for (key, top) in &tickers {
        if let Some(book) = books.get(key) {
            assert_eq!(book, top, "book and bookTicker at {key:?}");
            outcome.compared += 1;
        }
    }
    outcome.synced = driver.recorded.notes_of("Synced");
    for trade in driver.recorded.trades() {
        outcome.trades.entry(trade.instrument_id.clone().into_owned()).or_default().push((
            trade.trade_id.parse().unwrap(),
            trade.price,
            trade.quantity,
            trade.side,
        ));
    }
    println!(
        "{integration} {symbols:?}: {} depth events, {} of {} bookTickers compared, trades {:?}",
        outcome.depth_events,
        outcome.compared,
        tickers.len(),
        outcome.trades.iter().map(|(symbol, trades)| (symbol, trades.len())).collect::<Vec<_>>()
    );
    (driver, outcome)
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// Nothing missing, nothing twice, every depth event in exactly one message.
fn assert_whole(driver: &Driver, outcome: &Outcome, symbols: usize) {
    assert!(driver.recorded.gaps().is_empty(), "{:?}", driver.recorded.gaps());
    assert_eq!(outcome.synced, symbols);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 0);
    assert_eq!(driver.recorded.notes_of("Resync"), 0);
    let mut counted = 0;
    let mut chain: HashMap<String, u64> = HashMap::new();
    for book in driver.recorded.books() {
        counted += book.update_count;
        assert_eq!(
            book.previous_update_id,
            chain.insert(book.symbol.clone().into_owned(), book.last_update_id)
        );
    }
    assert_eq!(counted, outcome.depth_events);
    for (symbol, trades) in &outcome.trades {
        let ids: Vec<u64> = trades.iter().map(|(id, ..)| *id).collect();
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{symbol}: ids have a hole");
    }
}

/// The same trades as tardis-node's own mapper made of the run; its numbers have been floats.
fn assert_same_trades_as_tardis(folder: &Path, file: &str, outcome: &Outcome) {
    let mut text = String::new();
    let path = folder.join("_reference_tardis").join(file);
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut theirs: HashMap<String, Vec<(u64, Decimal, Decimal, TakerSide)>> = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("{\"type\":\"trade\"")) {
        let trade: Value = serde_json::from_str(line).unwrap();
        let number = |field: &str| trade[field].to_string().parse::<Decimal>().unwrap();
        theirs.entry(trade["symbol"].as_str().unwrap().to_owned()).or_default().push((
            trade["id"].as_str().unwrap().parse().unwrap(),
            number("price"),
            number("amount"),
            trade["side"].as_str().unwrap().parse().unwrap(),
        ));
    }
    assert!(!theirs.is_empty());
    assert_eq!(theirs, outcome.trades);
}

fn ids(outcome: &Outcome, symbol: &str) -> (usize, u64, u64) {
    let trades = &outcome.trades[symbol];
    (trades.len(), trades[0].0, trades[trades.len() - 1].0)
}

#[test]
fn spot_ethusdt_over_a_day_change() {
    let Some(folder) = folder() else { return };
    let lines = hbt(&folder, &["spot/ethusdt_20240808.gz", "spot/ethusdt_20240809.gz"]);
    let (driver, outcome) = replay("binance_spot", &[("ETH", "USDT")], "trade", &lines);
    assert_whole(&driver, &outcome, 1);
    assert_eq!(ids(&outcome, "ETHUSDT"), (14_515, 1_520_538_925, 1_520_553_439));
    assert!(outcome.compared > 500, "{}", outcome.compared);
    assert_same_trades_as_tardis(&folder, "binance_spot_20240808_ethusdt.normalized.jsonl.gz", &outcome);
}

#[test]
fn usdm_btcusdt_over_a_day_change() {
    let Some(folder) = folder() else { return };
    let lines = hbt(&folder, &["usdm/btcusdt_20240718.gz", "usdm/btcusdt_20240719.gz"]);
    let (driver, outcome) = replay("binance_usdm", &[("BTC", "USDT")], "trade", &lines);
    assert_whole(&driver, &outcome, 1);
    assert_eq!(ids(&outcome, "BTCUSDT"), (10_701, 5_182_005_737, 5_182_016_437));
    assert!(outcome.compared > 500, "{}", outcome.compared);
    assert_same_trades_as_tardis(&folder, "binance_usdm_20240718_btcusdt.normalized.jsonl.gz", &outcome);
}

#[test]
fn usdm_ethusdt_at_full_rate() {
    let Some(folder) = folder() else { return };
    let lines = hbt(&folder, &["usdm/ethusdt_20240808.gz"]);
    let (driver, outcome) = replay("binance_usdm", &[("ETH", "USDT")], "trade", &lines);
    assert_whole(&driver, &outcome, 1);
    assert!(outcome.compared > 500, "{}", outcome.compared);
    assert_same_trades_as_tardis(&folder, "binance_usdm_20240808_ethusdt.normalized.jsonl.gz", &outcome);
}

#[test]
fn spot_three_symbols_2021_04() {
    let Some(folder) = folder() else { return };
    let lines = cryptofeed(&folder, &["2021-04-04_29970208/BINANCE-ee25be.0"]);
    let symbols = [("BTC", "USDT"), ("ETH", "USDT"), ("DOT", "USDT")];
    let (driver, outcome) = replay("binance_spot", &symbols, "aggTrade", &lines);
    assert_whole(&driver, &outcome, 3);
    assert!(outcome.trades.len() == 3 && driver.recorded.trades().iter().all(|trade| trade.is_aggregate()));
}

fn symbols_in(lines: &[Line]) -> Vec<(String, String)> {
    let mut symbols: Vec<String> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Snapshot(_, symbol, _) => symbol.clone(),
            Line::Frame(..) => None,
        })
        .collect();
    symbols.sort();
    let split = |symbol: &String| {
        let quote =
            ["USDT", "BTC", "BNB", "ETH", "EUR"].into_iter().find(|quote| symbol.ends_with(quote)).unwrap();
        (symbol.strip_suffix(quote).unwrap().to_owned(), quote.to_owned())
    };
    symbols.iter().map(split).collect()
}

fn assert_four_symbols(integration: &str, folder: &Path, name: &str) {
    let lines = cryptofeed(
        folder,
        &[&format!("2021-11-03_3baf9c56/{name}.ws.1.0"), &format!("2021-11-03_3baf9c56/{name}.http.0.0")],
    );
    let symbols = symbols_in(&lines);
    assert_eq!(symbols.len(), 4);
    let symbols: Vec<_> = symbols.iter().map(|(base, quote)| (base.as_str(), quote.as_str())).collect();
    let (driver, outcome) = replay(integration, &symbols, "aggTrade", &lines);
    assert_whole(&driver, &outcome, 4);
    assert!(outcome.compared > 0);
}

#[test]
fn spot_four_symbols_2021_10() {
    let Some(folder) = folder() else { return };
    assert_four_symbols("binance_spot", &folder, "BINANCE");
}

#[test]
fn usdm_four_symbols_2021_07() {
    let Some(folder) = folder() else { return };
    assert_four_symbols("binance_usdm", &folder, "BINANCE_FUTURES");
}

/// The checks above can fail: one lost frame is noticed.
#[test]
fn a_dropped_frame_is_noticed() {
    let Some(folder) = folder() else { return };
    for (integration, symbol, file) in [
        ("binance_spot", "ETH", "spot/ethusdt_20240808.gz"),
        ("binance_usdm", "ETH", "usdm/ethusdt_20240808.gz"),
    ] {
        for (stream, data_type) in [("@depth", DataType::OrderBook), ("@trade", DataType::Trade)] {
            let mut lines = hbt(&folder, &[file]);
            let of_it = |line: &Line| matches!(line, Line::Frame(_, frame) if frame[..40].contains(stream));
            let at = lines.iter().enumerate().filter(|(_, line)| of_it(line)).nth(300).unwrap().0;
            lines.remove(at);
            let (driver, outcome) = replay(integration, &[(symbol, "USDT")], "trade", &lines);
            let gaps = driver.recorded.gaps();
            assert_eq!(gaps.len(), 1, "{gaps:?}");
            assert_eq!(gaps[0].missing_data_type, data_type);
            if data_type == DataType::OrderBook {
                assert_eq!(gaps[0].reason, GapReason::Sequence);
                assert_eq!(driver.recorded.notes_of("Resync"), 1);
            } else {
                assert_eq!(gaps[0].reason, GapReason::BackfillFailed);
                assert_eq!(gaps[0].from_sequence, gaps[0].to_sequence);
                let from = format!("fromId={}", gaps[0].from_sequence.unwrap());
                assert!(outcome.backfills.len() > 1 && outcome.backfills[0].contains(&from));
            }
        }
    }
}
