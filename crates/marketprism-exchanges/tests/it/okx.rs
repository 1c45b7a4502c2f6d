//! OKX: what its sessions promise. Payloads have the exchange's shapes and numbers of our own.

mod books;
mod captures;
mod contracts;
mod damage;
mod instruments;
mod links;
mod polled;
mod sockets;
mod trades;

use std::fmt::Write;

use marketprism_core::{Contract, ContractUnit, DataType, Instrument, MarketType, Timestamp};
use marketprism_exchanges::Link;
use marketprism_exchanges::registry::{SessionConfig, SessionOptions};
use serde_json::{Value, json};

use crate::driver::{BOTH, Driver, LINK, START, options};

fn instrument(market_type: MarketType, symbol: &str, instrument_id: &str) -> Instrument {
    Instrument::new("okx", market_type, symbol.to_owned(), instrument_id).unwrap()
}

fn spot(instrument_id: &str) -> Instrument {
    instrument(MarketType::Spot, instrument_id, instrument_id)
}

fn contract(size: &str, unit: ContractUnit) -> Option<Contract> {
    Some(Contract { size: size.parse().unwrap(), unit })
}

/// A hundredth of a bitcoin.
fn linear() -> Instrument {
    let instrument = instrument(MarketType::Perpetual, "BTC-USDT", "BTC-USDT-SWAP");
    Instrument { contract: contract("0.01", ContractUnit::Base), ..instrument }
}

/// A hundred dollars.
fn inverse() -> Instrument {
    let instrument = instrument(MarketType::Perpetual, "BTC-USD", "BTC-USD-SWAP");
    Instrument { contract: contract("100", ContractUnit::Quote), ..instrument }
}

fn session(integration: &str, instruments: Vec<Instrument>, data_types: &[DataType]) -> Driver {
    session_with(integration, instruments, data_types, options())
}

fn session_with(
    integration: &str,
    instruments: Vec<Instrument>,
    data_types: &[DataType],
    options: SessionOptions,
) -> Driver {
    let config = SessionConfig { instruments, data_types: data_types.to_vec(), options, seeds: Vec::new() };
    Driver::new(integration, config)
}

/// BTC-USDT and ETH-USDT on one socket, everything acknowledged.
fn open() -> Driver {
    let mut driver = session("okx_spot", vec![spot("BTC-USDT"), spot("ETH-USDT")], BOTH);
    driver.opened();
    acknowledge(&mut driver);
    driver
}

/// The requests sent on a socket since the last look: operation, arguments, id.
fn take_calls(driver: &mut Driver, link: Link) -> Vec<(String, Vec<Value>, String)> {
    let sent = std::mem::take(&mut driver.recorded.sent);
    let on = std::mem::take(&mut driver.recorded.sent_on);
    let mut calls = Vec::new();
    for (text, sent_on) in sent.into_iter().zip(on) {
        if sent_on == link && text != "ping" {
            let call: Value = serde_json::from_str(&text).unwrap();
            let text = |field: &str| call[field].as_str().unwrap().to_owned();
            calls.push((text("op"), call["args"].as_array().unwrap().clone(), text("id")));
        } else {
            driver.recorded.sent.push(text);
            driver.recorded.sent_on.push(sent_on);
        }
    }
    calls
}

/// Answers what was sent on a socket as the exchange does: once for each argument. Gives back what it was.
fn acknowledge_on(driver: &mut Driver, link: Link) -> Vec<(String, Vec<Value>, String)> {
    let calls = take_calls(driver, link);
    for (operation, args, id) in &calls {
        for arg in args {
            let answer = json!({"id": id, "event": operation, "arg": arg, "connId": "0f00ba12"});
            driver.frame_on(link, &answer.to_string()).unwrap();
        }
    }
    calls
}

fn acknowledge(driver: &mut Driver) -> Vec<(String, Vec<Value>, String)> {
    acknowledge_on(driver, LINK)
}

/// A book's push: `previous` is -1 for a snapshot; times are ms after the start.
struct BookPush<'p> {
    instrument_id: &'p str,
    previous: i64,
    sequence: u64,
    millis: i64,
    bids: &'p [(&'p str, &'p str)],
    asks: &'p [(&'p str, &'p str)],
}

impl BookPush<'_> {
    fn text(&self) -> String {
        self.text_with(r#","checksum":0"#)
    }

    fn text_with(&self, checksum: &str) -> String {
        let levels = |levels: &[(&str, &str)]| {
            let mut text = String::new();
            for (price, size) in levels {
                let comma = if text.is_empty() { "" } else { "," };
                write!(text, r#"{comma}["{price}","{size}","0","1"]"#).unwrap();
            }
            text
        };
        let Self { instrument_id, previous, sequence, .. } = self;
        let action = if *previous < 0 { "snapshot" } else { "update" };
        let (asks, bids, ts) = (levels(self.asks), levels(self.bids), START / 1_000 + self.millis);
        format!(
            r#"{{"arg":{{"channel":"books","instId":"{instrument_id}"}},"action":"{action}","data":[{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}"{checksum},"seqId":{sequence},"prevSeqId":{previous}}}]}}"#
        )
    }
}

/// A snapshot of BTC-USDT with one level a side.
fn snapshot(sequence: u64, millis: i64) -> String {
    let (bids, asks) = (&[("100", "1")], &[("101", "1")]);
    BookPush { instrument_id: "BTC-USDT", previous: -1, sequence, millis, bids, asks }.text()
}

/// An update of BTC-USDT that sets the bid of 100 to so much.
fn update(previous: i64, sequence: u64, millis: i64, size: &str) -> String {
    let bids = &[("100", size)];
    BookPush { instrument_id: "BTC-USDT", previous, sequence, millis, bids, asks: &[] }.text()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(START + millis * 1_000).unwrap()
}

fn update_ids(driver: &Driver) -> Vec<u64> {
    driver.recorded.books().iter().map(|book| book.last_update_id).collect()
}
