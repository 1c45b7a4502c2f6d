//! Traffic recorded by others, with the checksums the exchange still sent then. See `crate::captures`.

use std::collections::BTreeMap;
use std::path::Path;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};
use marketprism_exchanges::{Link, registry};
use serde_json::Value;

use super::session;
use crate::captures::{folder, seconds};
use crate::driver::{BOTH, Driver};

/// The instruments a recording lists; options are no market of ours, and are taken by their id.
fn instruments(folder: &Path, file: &str) -> BTreeMap<String, Instrument> {
    let text = std::fs::read_to_string(folder.join("bmoscon__cryptofeed").join(file)).unwrap();
    let read = registry::find("okx_swap").unwrap().instruments;
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let Some((url, rest)) = line.split_once(" -> ") else { continue };
        let (_, body) = rest.split_once(": ").unwrap();
        let instruments = if url.contains("instType=OPTION") {
            let body: Value = serde_json::from_str(body).unwrap();
            let id = |row: &Value| row["instId"].as_str().unwrap().to_owned();
            let option = |id: String| Instrument::new("okx", MarketType::Options, id.clone(), &id).unwrap();
            body["data"].as_array().unwrap().iter().map(id).map(option).collect()
        } else {
            read(body.as_bytes()).unwrap()
        };
        listed.extend(instruments.into_iter().map(|found| (found.instrument_id.clone(), found)));
    }
    listed
}

/// The pushes of a recording.
fn frames(folder: &Path, file: &str) -> Vec<(Timestamp, String)> {
    let text = std::fs::read_to_string(folder.join("bmoscon__cryptofeed").join(file)).unwrap();
    let frame = |line: &str| {
        let (time, frame) = line.split_once(": ")?;
        frame.starts_with("{\"arg\"").then(|| (seconds(time), frame.to_owned()))
    };
    text.lines().filter_map(frame).filter(|(_, frame)| !frame.contains("\"channel\":\"tickers\"")).collect()
}

/// A session of every instrument that occurs.
fn driver(
    folder: &Path,
    list: &str,
    frames: &[(Timestamp, String)],
    data_types: &[DataType],
) -> (Driver, usize) {
    let listed = instruments(folder, list);
    let id = |frame: &str| {
        let start = frame.find("\"instId\":\"").unwrap() + 10;
        frame[start..].split('"').next().unwrap().to_owned()
    };
    let mut ids: Vec<String> = frames.iter().map(|(_, frame)| id(frame)).collect();
    ids.sort();
    ids.dedup();
    let wanted = ids.iter().map(|id| listed[id].clone()).collect();
    (session("okx_swap", wanted, data_types), ids.len())
}

/// Replays on one socket; every book of it was right at every update, by the exchange's own checksum.
fn assert_checksums(folder: &Path, list: &str, file: &str, checksums: usize, books: usize) -> Driver {
    let frames = frames(folder, file);
    let (mut driver, _) = driver(folder, list, &frames, BOTH);
    driver.now = frames[0].0;
    driver.opened();
    for (time, frame) in &frames {
        driver.now = *time;
        driver.frame(frame).unwrap();
    }
    let counted = driver.recorded.notes_of("Synced") + driver.recorded.notes_of("BookUpdated");
    println!("{file}: {counted} checksums");
    assert_eq!((counted, driver.recorded.notes_of("Synced")), (checksums, books));
    assert_eq!(driver.recorded.books().len(), checksums);
    assert!(driver.recorded.gaps().is_empty(), "{:?}", driver.recorded.gaps());
    driver
}

#[test]
fn every_checksum_of_2021_and_2022_is_right() {
    let Some(folder) = folder() else { return };
    let of_2021 = "2021-11-03_3baf9c56";
    for (connection, checksums) in [(1, 1_504), (2, 1_446), (3, 1_422)] {
        let file = format!("{of_2021}/OKEX.ws.{connection}.0");
        assert_checksums(&folder, &format!("{of_2021}/OKEX.0"), &file, checksums, 10);
    }
    let of_2022 = "2022-06-25_0148f9d6";
    let (list, file) = (format!("{of_2022}/OKX.0"), format!("{of_2022}/OKX.ws.1.0"));
    let driver = assert_checksums(&folder, &list, &file, 290, 3);
    let bitcoin: Vec<u64> = {
        let trades = driver.recorded.trades();
        let of_it = trades.iter().filter(|trade| trade.instrument_id == "BTC-USDT");
        of_it.map(|trade| trade.trade_id.parse().unwrap()).collect()
    };
    assert_eq!(bitcoin, (338_476_307..=338_476_375).collect::<Vec<_>>(), "consecutive");
}

/// The check above can fail: without one frame the next checksum is wrong.
#[test]
fn a_dropped_frame_makes_the_next_checksum_wrong() {
    let Some(folder) = folder() else { return };
    let (list, file) = ("2022-06-25_0148f9d6/OKX.0", "2022-06-25_0148f9d6/OKX.ws.1.0");
    let mut frames = frames(&folder, file);
    let is_update = |frame: &str| frame.contains("\"update\"") && frame.contains("UNI-USD-SWAP");
    let at = frames.iter().position(|(_, frame)| is_update(frame)).unwrap();
    frames.remove(at);
    let (mut driver, _) = driver(&folder, list, &frames, &[DataType::OrderBook]);
    driver.now = frames[0].0;
    driver.opened();
    for (time, frame) in &frames {
        driver.now = *time;
        let _channels_not_taken = driver.frame(frame);
    }
    let resyncs: Vec<_> = driver.recorded.notes.iter().filter(|note| note.starts_with("Resync")).collect();
    assert_eq!(resyncs.len(), 1, "{resyncs:?}");
    assert!(resyncs[0].contains("UNI-USD"), "{resyncs:?}");
}

/// Three sockets with the same channels give one stream of trades.
#[test]
fn three_connections_are_one_stream_of_trades() {
    let Some(folder) = folder() else { return };
    let list = "2021-11-03_3baf9c56/OKEX.0";
    let mut frames: Vec<(Timestamp, Link, String)> = Vec::new();
    let mut once = Vec::new();
    for connection in 1..=3 {
        let of_it = self::frames(&folder, &format!("2021-11-03_3baf9c56/OKEX.ws.{connection}.0"));
        let trades: Vec<_> =
            of_it.into_iter().filter(|(_, frame)| frame.contains("\"channel\":\"trades\"")).collect();
        assert_eq!(trades.len(), 36);
        frames.extend(trades.iter().map(|(time, frame)| (*time, Link(connection), frame.clone())));
        once = trades;
    }
    frames.sort_by_key(|(time, ..)| *time);
    let (mut driver, instruments) = driver(&folder, list, &once, &[DataType::Trade]);
    driver.now = frames[0].0;
    (1..=3).for_each(|link| driver.opened_on(Link(link)));
    for (time, link, frame) in &frames {
        driver.now = *time;
        driver.frame_on(*link, frame).unwrap();
    }
    driver.pass(3_000);
    assert_eq!(instruments, 9);
    assert_eq!(driver.recorded.trades().len(), 36);
    assert_eq!(driver.recorded.notes_of("Duplicate"), 72);
    assert!(driver.recorded.gaps().is_empty() && driver.recorded.requests.is_empty());
    let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for trade in driver.recorded.trades() {
        ids.entry(trade.instrument_id.to_string()).or_default().push(trade.trade_id.parse().unwrap());
    }
    assert!(ids.values().all(|ids| ids.windows(2).all(|pair| pair[1] == pair[0] + 1)), "{ids:?}");
}
