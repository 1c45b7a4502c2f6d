//! Replays of captures against what another program made of the same captures: trades one by one, every book rebuilt from its
//! changes, book snapshots and bars of trades. Its numbers are doubles, so ours are compared as doubles.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use marketprism_core::message::{OrderBook, Trade};
use marketprism_core::{Decimal, MarketType, Timestamp};
use marketprism_recording::capture::Format;
use serde_json::Value;

use crate::captures::captures;
use crate::collected::{Collected, of_capture, replay};

/// A run of the other program, and what it was made of.
struct Reference {
    name: &'static str,
    exchange: &'static str,
    market_type: MarketType,
    format: Format,
    files: &'static [&'static str],
    /// What it says the exchange is.
    tag: &'static str,
}

const SPOT: &[&str] =
    &["nkaz001__hftbacktest/spot/ethusdt_20240808.gz", "nkaz001__hftbacktest/spot/ethusdt_20240809.gz"];
const USDM_ETH: &[&str] = &["nkaz001__hftbacktest/usdm/ethusdt_20240808.gz"];
const USDM_BTC: &[&str] =
    &["nkaz001__hftbacktest/usdm/btcusdt_20240718.gz", "nkaz001__hftbacktest/usdm/btcusdt_20240719.gz"];

const fn hbt(name: &'static str, market_type: MarketType, files: &'static [&'static str]) -> Reference {
    let tag = if matches!(market_type, MarketType::Spot) { "binance" } else { "binance-futures" };
    Reference { name, exchange: "binance", market_type, format: Format::Hbt, files, tag }
}

const fn cryptofeed(
    name: &'static str,
    exchange: &'static str,
    market_type: MarketType,
    files: &'static [&'static str],
    tag: &'static str,
) -> Reference {
    Reference { name, exchange, market_type, format: Format::Cryptofeed, files, tag }
}

const OKX_2021: &[&str] = &["bmoscon__cryptofeed/2021-11-03_3baf9c56/OKEX.ws.1.0"];
const OKX_2022: &[&str] = &["bmoscon__cryptofeed/2022-06-25_0148f9d6/OKX.ws.1.0"];

const REFERENCES: &[Reference] = &[
    cryptofeed(
        "binance_spot_20211012",
        "binance",
        MarketType::Spot,
        &["bmoscon__cryptofeed/2021-11-03_3baf9c56/BINANCE.ws.1.0"],
        "binance",
    ),
    cryptofeed(
        "binance_usdm_20210722_4symbols",
        "binance",
        MarketType::Perpetual,
        &["bmoscon__cryptofeed/2021-11-03_3baf9c56/BINANCE_FUTURES.ws.1.0"],
        "binance-futures",
    ),
    cryptofeed("okx_20210722_tbt", "okx", MarketType::Spot, OKX_2021, "okex"),
    cryptofeed("okx_20210722_tbt", "okx", MarketType::Perpetual, OKX_2021, "okex-swap"),
    cryptofeed("okx_20210722_tbt", "okx", MarketType::Futures, OKX_2021, "okex-futures"),
    cryptofeed("okx_20220513_books", "okx", MarketType::Spot, OKX_2022, "okex"),
    cryptofeed("okx_20220513_books", "okx", MarketType::Perpetual, OKX_2022, "okex-swap"),
    cryptofeed("okx_20220513_books", "okx", MarketType::Futures, OKX_2022, "okex-futures"),
    cryptofeed(
        "deribit_20210722",
        "deribit",
        MarketType::Options,
        &["bmoscon__cryptofeed/2021-11-03_3baf9c56/DERIBIT.ws.1.0"],
        "deribit",
    ),
];

impl Reference {
    fn run(&self, folder: &Path) -> Run<'_> {
        let files: Vec<PathBuf> = self.files.iter().map(|file| folder.join(file)).collect();
        let mut options = of_capture(self.exchange, self.market_type, self.format);
        // The newer captures hold every trade, which is what the reference has.
        options.trade_stream = Some("trade".to_owned());
        let (summary, ours) = replay(&[&files], &options).unwrap();
        assert_eq!((summary.resyncs, ours.gaps().len()), (0, 0), "{summary}");
        Run { reference: self, ours, theirs: self.lines(folder, "normalized") }
    }

    fn lines(&self, folder: &Path, kind: &str) -> Vec<Value> {
        let path = folder.join("_reference_tardis").join(format!("{}.{kind}.jsonl.gz", self.name));
        let lines = BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).lines();
        let all = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        all.filter(|line| line["exchange"] == self.tag).collect()
    }
}

/// What both programs made of the same files.
struct Run<'r> {
    reference: &'r Reference,
    ours: Collected,
    theirs: Vec<Value>,
}

fn double(decimal: Decimal) -> f64 {
    decimal.to_string().parse().unwrap()
}

fn time(line: &Value, field: &str) -> i64 {
    let text = line[field].as_str().unwrap();
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn micros(time: Timestamp) -> i64 {
    time.as_micros()
}

/// A time of theirs that is ours: cryptofeed writes more digits than µs have, which they round and we cut off.
fn found<T>(theirs: i64, by_time: impl Fn(i64) -> Option<T>) -> Option<T> {
    by_time(theirs).or_else(|| by_time(theirs - 1))
}

fn of_type<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn assert_every_trade_is_the_same(run: &Run<'_>) {
    let (ours, theirs) = (run.ours.trades(), of_type(&run.theirs, "trade"));
    assert_eq!(ours.len(), theirs.len(), "{}", run.reference.name);
    for (trade, line) in ours.iter().zip(&theirs) {
        let text = |field: &str| line[field].as_str().unwrap();
        let names = (trade.instrument_id.as_ref(), trade.trade_id.as_ref(), trade.side.as_str());
        assert_eq!(names, (text("symbol"), text("id"), text("side")), "{line}");
        // Where contracts are traded the reference counts contracts.
        let amount = double(trade.contracts.unwrap_or(trade.quantity));
        assert_eq!(Some(double(trade.price)), line["price"].as_f64(), "{line}");
        assert_eq!(Some(amount), line["amount"].as_f64(), "{line}");
        assert_eq!(micros(trade.ts_event_us), time(line, "timestamp"), "{line}");
        let received = micros(trade.ts_recv_us);
        assert!(found(time(line, "localTimestamp"), |at| (at == received).then_some(())).is_some(), "{line}");
    }
    let Reference { name, market_type, .. } = run.reference;
    println!("{name} {market_type}: {} trades are the same", ours.len());
}

/// A book of doubles, by the bits of the price, which sort as prices do.
#[derive(Default)]
struct Rebuilt {
    bids: BTreeMap<u64, f64>,
    asks: BTreeMap<u64, f64>,
}

impl Rebuilt {
    fn apply(&mut self, line: &Value) {
        if line["isSnapshot"] == true {
            *self = Self::default();
        }
        for (side, levels) in [("bids", &mut self.bids), ("asks", &mut self.asks)] {
            for level in line[side].as_array().unwrap() {
                let (price, amount) = (level["price"].as_f64().unwrap(), level["amount"].as_f64().unwrap());
                if amount == 0.0 {
                    levels.remove(&price.to_bits());
                } else {
                    levels.insert(price.to_bits(), amount);
                }
            }
        }
    }

    fn top(&self, depth: usize) -> [Vec<(f64, f64)>; 2] {
        let level = |(price, amount): (&u64, &f64)| (f64::from_bits(*price), *amount);
        let bids = self.bids.iter().rev().take(depth).map(level).collect();
        [bids, self.asks.iter().take(depth).map(level).collect()]
    }
}

fn top(book: &OrderBook<'_>, depth: usize) -> [Vec<(f64, f64)>; 2] {
    [&book.bids, &book.asks].map(|side| {
        side.iter().take(depth).map(|level| (double(level.price), double(level.quantity))).collect()
    })
}

/// Contracts per base unit, where a linear contract's levels are published in base units.
fn scale(reference: &Reference, symbol: &str) -> Option<f64> {
    match (reference.exchange, reference.market_type, symbol) {
        ("okx", MarketType::Perpetual, "XMR-USDT-SWAP") => Some(0.1),
        ("okx", MarketType::Futures, "TRX-USDT-210924") => Some(1000.0),
        // Inverse contracts: a level's base units depend on its price; the unit tests of contracts prove them.
        ("okx", MarketType::Perpetual | MarketType::Futures, _) => None,
        _ => Some(1.0),
    }
}

/// Levels per side that are compared.
const DEPTH: usize = 20;

fn assert_every_rebuilt_book_is_ours(run: &Run<'_>) {
    let Run { reference: reference @ Reference { name, market_type, .. }, ours, theirs } = run;
    // By symbol and receive time: a frame makes one book.
    let books = ours.books().into_iter();
    let books: BTreeMap<_, _> =
        books.map(|book| ((book.instrument_id.to_string(), micros(book.ts_recv_us)), book)).collect();
    let mut rebuilt: BTreeMap<String, Rebuilt> = BTreeMap::new();
    let (mut same, mut changes) = (0, 0);
    for line in of_type(theirs, "book_change") {
        let symbol = line["symbol"].as_str().unwrap().to_owned();
        let theirs = rebuilt.entry(symbol.clone()).or_default();
        theirs.apply(line);
        let Some(scale) = scale(reference, &symbol) else { continue };
        changes += 1;
        let Some(book) = found(time(line, "localTimestamp"), |at| books.get(&(symbol.clone(), at))) else {
            continue;
        };
        let mut theirs = theirs.top(DEPTH);
        for (_, amount) in theirs.iter_mut().flatten() {
            *amount = (*amount * scale * 1e9).round() / 1e9;
        }
        assert_eq!(top(book, DEPTH), theirs, "{name} {symbol} {}", line["timestamp"]);
        same += 1;
    }
    println!("{name} {market_type}: {same} of {changes} books are the same");
    // Binance's first of each symbol they date by the snapshot's arrival, we by its last update.
    let firsts = if reference.exchange == "binance" { rebuilt.len() } else { 0 };
    assert_eq!(same + firsts, changes, "{name}");
}

fn assert_their_book_snapshots_are_ours(run: &Run<'_>, computed: &[Value]) {
    let name = run.reference.name;
    let books: BTreeMap<_, _> =
        run.ours.books().into_iter().map(|book| (micros(book.ts_recv_us), book)).collect();
    let changes: Vec<_> = of_type(&run.theirs, "book_change")
        .iter()
        .map(|line| (time(line, "timestamp"), time(line, "localTimestamp")))
        .collect();
    let levels = |line: &Value| {
        ["bids", "asks"].map(|side| {
            let levels = line[side].as_array().unwrap().iter();
            let numbers = levels.map(|level| (level["price"].as_f64(), level["amount"].as_f64()));
            numbers.map(|(price, amount)| (price.unwrap(), amount.unwrap())).collect::<Vec<_>>()
        })
    };
    let (mut each_second, mut each_change) = (0, 0);
    for line in of_type(computed, "book_snapshot") {
        let is_each_second = line["interval"] == 1000;
        // Either the last change within a second of the exchange's clock, or this very one.
        let end = time(line, "timestamp");
        let received = match is_each_second {
            true => changes.iter().rfind(|(event, _)| *event < end).map_or(0, |(_, received)| *received),
            false => time(line, "localTimestamp"),
        };
        let Some(book) = books.get(&received) else { continue };
        let theirs = levels(line);
        assert_eq!(top(book, theirs[0].len()), theirs, "{name} {}", line["timestamp"]);
        if is_each_second { each_second += 1 } else { each_change += 1 }
    }
    println!("{name}: {each_second} seconds and {each_change} changes are the same");
    assert!(each_second > 300 && each_change > 5_000, "{name}");
}

fn assert_their_bars_of_trades_are_ours(run: &Run<'_>, computed: &[Value]) {
    let (name, trades) = (run.reference.name, run.ours.trades());
    let mut bars = 0;
    for line in of_type(computed, "trade_bar").iter().filter(|line| line["kind"] == "time") {
        let end = time(line, "timestamp");
        let begin = end - line["interval"].as_i64().unwrap() * 1_000;
        let inside = |trade: &&Trade<'_>| (begin..end).contains(&micros(trade.ts_event_us));
        let of_it: Vec<_> = trades.iter().filter(inside).collect();
        let prices: Vec<f64> = of_it.iter().map(|trade| double(trade.price)).collect();
        let volume: f64 = of_it.iter().map(|trade| double(trade.quantity)).sum();
        let number = |field: &str| line[field].as_f64().unwrap();
        assert_eq!(of_it.len() as u64, line["trades"].as_u64().unwrap(), "{line}");
        assert_eq!(prices.first(), Some(&number("open")), "{line}");
        assert_eq!(prices.last(), Some(&number("close")), "{line}");
        assert_eq!(prices.iter().copied().reduce(f64::max), Some(number("high")), "{line}");
        assert_eq!(prices.iter().copied().reduce(f64::min), Some(number("low")), "{line}");
        assert!((volume - number("volume")).abs() < 1e-6, "{line}: {volume}");
        bars += 1;
    }
    println!("{name}: {bars} bars are the same");
    assert!(bars > 30, "{name}");
}

fn assert_long_run_is_the_same(reference: &Reference) {
    let Some(folder) = captures() else { return };
    let run = reference.run(&folder);
    assert_every_trade_is_the_same(&run);
    assert_every_rebuilt_book_is_ours(&run);
    let computed = reference.lines(&folder, "computed");
    assert_their_book_snapshots_are_ours(&run, &computed);
    assert_their_bars_of_trades_are_ours(&run, &computed);
}

#[test]
fn binance_spot_over_midnight() {
    assert_long_run_is_the_same(&hbt("binance_spot_20240808_ethusdt", MarketType::Spot, SPOT));
}

#[test]
fn binance_usdm_at_two_hundred_frames_a_second() {
    assert_long_run_is_the_same(&hbt("binance_usdm_20240808_ethusdt", MarketType::Perpetual, USDM_ETH));
}

#[test]
fn binance_usdm_over_midnight() {
    assert_long_run_is_the_same(&hbt("binance_usdm_20240718_btcusdt", MarketType::Perpetual, USDM_BTC));
}

#[test]
fn every_exchange_for_half_a_minute() {
    let Some(folder) = captures() else { return };
    for reference in REFERENCES {
        let run = reference.run(&folder);
        assert_every_trade_is_the_same(&run);
        assert_every_rebuilt_book_is_ours(&run);
    }
}
