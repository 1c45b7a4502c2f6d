//! Deribit's traffic recorded by others, replayed. The captures are not part of this repository; without them these tests
//! say so and pass.

use std::collections::BTreeSet;
use std::path::Path;

use marketprism_core::message::{Level, OpenInterest};
use marketprism_core::{ContractUnit, DataType, Decimal, Instrument, MarketType};
use marketprism_exchanges::registry::{self, SessionConfig, SessionOptions};
use serde_json::Value;

use crate::captures::{folder, seconds};
use crate::deribit::{ALL, instrument};
use crate::driver::{Driver, LINK, options};

const RUN: &str = "bmoscon__cryptofeed/2021-11-03_3baf9c56";

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
    let named: BTreeSet<String> = frames.iter().map(|(_, frame)| channel(frame)).collect();
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
    assert_eq!(interest.iter().map(|it| &it.symbol).collect::<BTreeSet<_>>().len(), 10);
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
