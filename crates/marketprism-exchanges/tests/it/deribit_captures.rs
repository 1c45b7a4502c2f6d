//! Deribit's traffic recorded by others, replayed. The captures are not part of this repository; without them these tests
//! say so and pass.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use marketprism_core::message::{Level, OpenInterest};
use marketprism_core::{Contract, ContractUnit, DataType, Decimal, Instrument, MarketType};
use marketprism_exchanges::registry::{self, SessionConfig, SessionOptions};
use serde_json::Value;

use crate::captures::{folder, seconds};
use crate::deribit::{ALL, instrument};
use crate::driver::{Driver, LINK, options};

const RUN: &str = "bmoscon__cryptofeed/2021-11-03_3baf9c56";

type Side = BTreeMap<Decimal, Decimal>;

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// A session of these instruments with one open socket that publishes a whole book at every update.
fn session(instruments: Vec<Instrument>) -> Driver {
    let options = SessionOptions { book_depth: 1_000, ..options() };
    let config = SessionConfig { instruments, data_types: ALL.to_vec(), options, seeds: Vec::new() };
    let mut driver = Driver::new("deribit", config);
    driver.opened();
    driver
}

fn decimal(value: &Value) -> Decimal {
    // 0.5 is written so, and 5e-1, and 1 as 1.0.
    Decimal::parse(value.to_string().as_bytes()).unwrap()
}

fn best(levels: &[Level]) -> Option<(Decimal, Decimal)> {
    levels.first().map(|level| (level.price, level.quantity))
}

/// The instruments listed when the run was recorded, and the frames of it.
fn run(folder: &Path) -> (Vec<Instrument>, Vec<String>, Driver) {
    let lists = read(folder, &format!("{RUN}/DERIBIT.0"));
    let bodies = lists.lines().filter_map(|line| line.split_once(" -> ")?.1.split_once(": "));
    let listed: Vec<Instrument> = bodies
        .flat_map(|(_, body)| (registry::find("deribit").unwrap().instruments)(body.as_bytes()).unwrap())
        .collect();
    let capture = read(folder, &format!("{RUN}/DERIBIT.ws.1.0"));
    let lines: Vec<_> = capture.lines().filter_map(|line| line.split_once(": ")).collect();
    let frames: Vec<_> = lines.iter().filter(|(_, frame)| frame.contains("\"subscription\"")).collect();
    let channel = |frame: &str| -> String {
        let frame: Value = serde_json::from_str(frame).unwrap();
        frame["params"]["channel"].as_str().unwrap().split('.').nth(1).unwrap().to_owned()
    };
    let named: std::collections::BTreeSet<String> = frames.iter().map(|(_, frame)| channel(frame)).collect();
    let wanted: Vec<_> = listed.into_iter().filter(|it| named.contains(&it.instrument_id)).collect();
    let mut driver = session(wanted.clone());
    for (time, frame) in &frames {
        driver.now = seconds(time);
        driver.frame_on(LINK, frame).unwrap();
    }
    (wanted, frames.iter().map(|(_, frame)| (*frame).to_owned()).collect(), driver)
}

#[test]
fn every_ticker_equals_the_rebuilt_book() {
    let Some(folder) = folder() else { return };
    let (instruments, frames, driver) = run(&folder);
    assert_eq!(instruments.len(), 10);
    assert!(instruments.iter().any(|it| it.symbol == "ETH-ETH-20210730-2800-C"), "{instruments:?}");
    let books = driver.recorded.books();
    assert_eq!(
        (books.len(), driver.recorded.gaps().len()),
        (46, 0),
        "ten snapshots and 36 changes that link"
    );
    let mut compared = 0;
    for frame in frames.iter().filter(|frame| frame.contains("\"ticker.")) {
        let data = &serde_json::from_str::<Value>(frame).unwrap()["params"]["data"];
        let of_it: Vec<_> = books
            .iter()
            .filter(|book| book.instrument_id == data["instrument_name"].as_str().unwrap())
            .collect();
        let time = data["timestamp"].as_i64().unwrap() * 1_000;
        let before =
            of_it.iter().rfind(|book| book.ts_event_us.as_micros() <= time).or(of_it.first()).unwrap();
        let told = |price: &str, amount: &str| {
            data[price]
                .as_f64()
                .filter(|price| *price > 0.0)
                .map(|_| (decimal(&data[price]), decimal(&data[amount])))
        };
        assert_eq!(best(&before.bids), told("best_bid_price", "best_bid_amount"), "{frame}");
        assert_eq!(best(&before.asks), told("best_ask_price", "best_ask_amount"), "{frame}");
        compared += 1;
    }
    assert_eq!(compared, 89);
    let interest: Vec<OpenInterest<'_>> = driver.recorded.of(DataType::OpenInterest);
    assert_eq!(interest.iter().map(|it| &it.symbol).collect::<std::collections::BTreeSet<_>>().len(), 10);
}

#[test]
fn every_book_equals_what_tardis_made_of_the_same_run() {
    let Some(folder) = folder() else { return };
    let (_, _, driver) = run(&folder);
    let mut books: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for book in driver.recorded.books() {
        books.entry(book.instrument_id.clone().into_owned()).or_default().push(book);
    }
    let mut rebuilt: BTreeMap<String, (usize, [Side; 2])> = BTreeMap::new();
    let file =
        std::fs::File::open(folder.join("_reference_tardis/deribit_20210722.normalized.jsonl.gz")).unwrap();
    let mut compared = 0;
    for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
        let told: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if told["type"] != "book_change" {
            continue;
        }
        let symbol = told["symbol"].as_str().unwrap().to_owned();
        let (count, sides) = rebuilt.entry(symbol.clone()).or_default();
        for (side, levels) in sides.iter_mut().zip([&told["bids"], &told["asks"]]) {
            for level in levels.as_array().unwrap() {
                let (price, amount) = (decimal(&level["price"]), decimal(&level["amount"]));
                if amount.is_zero() {
                    side.remove(&price)
                } else {
                    side.insert(price, amount)
                };
            }
        }
        let ours = &books[&symbol][*count];
        let side =
            |levels: &[Level]| levels.iter().map(|level| (level.price, level.quantity)).collect::<Side>();
        assert_eq!([side(&ours.bids), side(&ours.asks)], *sides, "{symbol} after {count} changes");
        *count += 1;
        compared += 1;
    }
    assert_eq!(compared, 46);
}

#[test]
fn a_dropped_frame_is_one_gap() {
    let Some(folder) = folder() else { return };
    let (instruments, frames, _) = run(&folder);
    let changes: Vec<_> =
        frames.iter().enumerate().filter(|(_, frame)| frame.contains("\"type\":\"change\"")).collect();
    let mut noticed = 0;
    for (dropped, frame) in &changes {
        let mut driver = session(instruments.clone());
        for (at, frame) in frames.iter().enumerate() {
            if at != *dropped {
                driver.frame_on(LINK, frame).unwrap();
            }
        }
        let name = frame.split('"').find(|part| part.starts_with("book.")).unwrap();
        let is_last = !frames[dropped + 1..].iter().any(|later| later.contains(name));
        assert_eq!(driver.recorded.notes_of("Resync"), usize::from(!is_last), "{frame}");
        noticed += usize::from(!is_last);
    }
    assert_eq!(changes.len(), 36);
    assert!(noticed > 20, "{noticed}");
}

/// What tardis expects, of which trades, books and tickers are ours too.
#[test]
fn vectors_of_tardis_give_their_values() {
    let Some(folder) = folder() else { return };
    let ten_dollars = Some(("10", ContractUnit::Quote));
    let mut counts = [0; 3];
    for line in read(&folder, "tardis-dev__tardis-node/deribit.vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let channel = vector["message"]["params"]["channel"].as_str().unwrap();
        let name = channel.split('.').nth(1).unwrap();
        if channel.starts_with("quote.") {
            continue;
        }
        let is_inverse = name.ends_with("-PERPETUAL") && !name.contains('_');
        let market_type = if name.contains("PERP") { MarketType::Perpetual } else { MarketType::Options };
        let contract = if is_inverse { ten_dollars } else { Some(("1", ContractUnit::Base)) };
        let mut driver = session(vec![instrument(name, market_type, "A-B", contract)]);
        let frame = vector["message"].to_string();
        let message = frame.as_str();
        // A change comes after its snapshot.
        if let Some(previous) = vector["message"]["params"]["data"]["prev_change_id"].as_u64() {
            let time = &vector["message"]["params"]["data"]["timestamp"];
            let empty = format!(
                r#"{{"timestamp":{time},"type":"snapshot","change_id":{previous},"instrument_name":"{name}","bids":[],"asks":[]}}"#
            );
            driver.frame(&crate::deribit::event(channel, &empty)).unwrap();
            driver.recorded.messages.clear();
        }
        driver.frame(message).unwrap();
        let Contract { unit, .. } = Contract { size: Decimal::ZERO, unit: contract.unwrap().1 };
        for expected in vector["expected"].as_array().unwrap() {
            match expected["type"].as_str().unwrap() {
                "trade" => {
                    let trades = driver.recorded.trades();
                    let trade = trades.iter().find(|trade| expected["id"] == *trade.trade_id).unwrap();
                    assert_eq!(
                        (trade.price, trade.side.as_str()),
                        (decimal(&expected["price"]), expected["side"].as_str().unwrap())
                    );
                    let amount = decimal(&expected["amount"]);
                    assert_eq!(
                        trade.quantity,
                        if unit == ContractUnit::Quote { amount.over(trade.price).unwrap() } else { amount }
                    );
                    counts[0] += 1;
                }
                "book_change" => {
                    let books = driver.recorded.books();
                    for (side, ours) in [("bids", &books[0].bids), ("asks", &books[0].asks)] {
                        let kept = expected[side]
                            .as_array()
                            .unwrap()
                            .iter()
                            .filter(|level| !decimal(&level["amount"]).is_zero());
                        let told: Side =
                            kept.map(|level| (decimal(&level["price"]), decimal(&level["amount"]))).collect();
                        let quantity = |level: &Level| match unit {
                            ContractUnit::Quote => told[&level.price].over(level.price).unwrap(),
                            ContractUnit::Base => told[&level.price],
                        };
                        assert_eq!(ours.len(), told.len(), "{line}");
                        assert!(ours.iter().all(|level| level.quantity == quantity(level)), "{line}");
                    }
                    counts[1] += 1;
                }
                "derivative_ticker" | "option_summary" => {
                    let interest: Vec<OpenInterest<'_>> = driver.recorded.of(DataType::OpenInterest);
                    let amount = interest[0].open_interest_value.or(interest[0].open_interest_base).unwrap();
                    assert_eq!(amount, decimal(&expected["openInterest"]));
                    counts[2] += 1;
                }
                // Best bid and ask are in the book; liquidations are not told any more.
                "book_ticker" | "liquidation" => {}
                other => panic!("{other}"),
            }
        }
    }
    println!("trades, books, tickers: {counts:?}");
    assert!(counts[0] >= 4 && counts[1] >= 4 && counts[2] >= 9, "{counts:?}");
}

#[test]
fn todays_frames_and_lists_are_read() {
    let Some(folder) = folder() else { return };
    let mut driver = session(vec![instrument(
        "BTC-PERPETUAL",
        MarketType::Perpetual,
        "BTC-USD",
        Some(("10", ContractUnit::Quote)),
    )]);
    driver.frame(&read(&folder, "_snippets_2026/deribit_perp_trade_ws_20260812.json")).unwrap();
    assert_eq!(driver.recorded.trades()[0].contracts.unwrap().to_string(), "2");
    let listed = read(&folder, "crypto-crawler__crypto-market-raw-data/deribit.future.2025-04-25.json");
    let body = format!(r#"{{"jsonrpc":"2.0","result":{listed}}}"#);
    let instruments = (registry::find("deribit").unwrap().instruments)(body.as_bytes()).unwrap();
    assert_eq!(instruments.len(), 16);
    let future = instruments.iter().find(|it| it.instrument_id == "BTC-2MAY25").unwrap();
    assert_eq!((future.symbol.as_str(), future.market_type), ("BTC-USD-20250502", MarketType::Futures));
    assert_eq!(future.contract.unwrap().unit, ContractUnit::Quote);
}
