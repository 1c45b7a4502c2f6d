//! How fast one thread turns frames into messages: `decode_rate <folder> [rounds] [kind]`.
//!
//! The folder holds what the generator that others were measured with writes: `binance_depth.jsonl`, `okx_books.jsonl` and so on.
//! One line a kind: the median of the rounds in ns a message and messages a second, by the thread's own CPU time, so that
//! neighbours on a busy machine count less; and of as many rounds more, where each frame is timed for itself by the same clock
//! (reading it is in the figure, some 0.3 µs), the ns that half, 99 and 99.9 per cent of the frames stay below. A frame's time
//! is the median of its rounds: what one frame costs is the same in every round, what the host takes away meanwhile is not (the
//! clock counts it: 99.9 per cent of one single round is mostly that). Not a test of correctness, except that every message must
//! come out and no book may break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::print_stdout, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use marketprism_core::{
    Contract, ContractUnit, DataType, Decimal, Instrument, MarketType, Message, Timestamp,
};
use marketprism_exchanges::registry::{self, BookMode, SessionConfig, SessionOptions};
use marketprism_exchanges::{Effects, Frame, Link, Lost, Note, Request, Session, StreamState};
use serde_json::Value;
use serde_json::value::RawValue;

/// Takes what a session gives; encodes it where that is measured too.
#[derive(Default)]
struct Sink {
    is_encoding: bool,
    payload: Vec<u8>,
    messages: u64,
    updates: u64,
    requests: Vec<Request>,
}

impl Effects for Sink {
    fn emit(&mut self, message: Message<'_>) {
        self.messages += 1;
        if self.is_encoding {
            self.payload.clear();
            message.encode(&mut self.payload).unwrap();
        }
        black_box(&message);
    }
    fn send(&mut self, _: Link, _: String) {}
    fn fetch(&mut self, request: Request) {
        self.requests.push(request);
    }
    fn reconnect(&mut self, _: Link, reason: Lost) {
        panic!("{reason}");
    }
    fn note(&mut self, note: Note<'_>) {
        match note {
            Note::BookUpdated { .. } => self.updates += 1,
            Note::Synced { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    integration: &'static str,
    file: &'static str,
    data_type: DataType,
    trade_stream: Option<&'static str>,
    /// Where books are published at every update, and encoded.
    is_encoding: bool,
    /// Makes frames what the exchange sends today: ids of one symbol without holes, no checksums.
    prepare: fn(&mut Vec<String>),
}

const NEVER: Duration = Duration::from_secs(3600);
const LINK: Link = Link(0);

const fn binance(
    name: &'static str,
    file: &'static str,
    trade_stream: &'static str,
    prepare: fn(&mut Vec<String>),
) -> Kind {
    let data_type =
        if matches!(file.as_bytes(), b"binance_depth.jsonl") { DataType::OrderBook } else { DataType::Trade };
    let trade_stream = Some(trade_stream);
    Kind { name, integration: "binance_spot", file, data_type, trade_stream, is_encoding: false, prepare }
}

const fn other(
    name: &'static str,
    integration: &'static str,
    file: &'static str,
    data_type: DataType,
    prepare: fn(&mut Vec<String>),
) -> Kind {
    Kind { name, integration, file, data_type, trade_stream: None, is_encoding: false, prepare }
}

const fn encoded(kind: Kind, name: &'static str) -> Kind {
    Kind { name, is_encoding: true, ..kind }
}

const DEPTH: &str = "binance_depth.jsonl";
const TRADE: &str = "binance_trade.jsonl";
const AGGREGATE: &str = "binance_aggtrade.jsonl";

const KINDS: [Kind; 9] = [
    binance("binance_depth_book", DEPTH, "trade", |_| {}),
    encoded(binance("", DEPTH, "trade", |_| {}), "binance_depth_book_top20_json"),
    binance("binance_trade", TRADE, "trade", |frames| renumber(frames, "\"t\":", ",")),
    encoded(binance("", TRADE, "trade", |frames| renumber(frames, "\"t\":", ",")), "binance_trade_json"),
    binance("binance_agg_trade", AGGREGATE, "aggTrade", |frames| renumber(frames, "\"a\":", ",")),
    // The exchange has sent zero for a checksum since 2026-06.
    other("okx_books_book", "okx_spot", "okx_books.jsonl", DataType::OrderBook, |frames| {
        replace(frames, "\"checksum\":", ",", "0");
    }),
    other("okx_books_book_checksum", "okx_spot", "okx_books.jsonl", DataType::OrderBook, |_| {}),
    other("okx_trade", "okx_spot", "okx_trades.jsonl", DataType::Trade, |frames| {
        renumber(frames, "\"tradeId\":\"", "\"");
        replace(frames, "\"count\":\"", "\"", "1");
    }),
    other("deribit_book", "deribit", "deribit_book.jsonl", DataType::OrderBook, |_| {}),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: decode_rate <folder> [rounds] [kind]");
    let rounds = arguments.next().map_or(5, |rounds| rounds.parse().expect("rounds: a number"));
    let only = arguments.next();
    println!(
        "{:<30} {:>10} {:>12} {:>8} {:>8} {:>8}",
        "kind", "ns/message", "messages/s", "p50", "p99", "p99.9"
    );
    for kind in KINDS.iter().filter(|kind| only.as_ref().is_none_or(|only| only == kind.name)) {
        let (nanos, [half, most, nearly_all]) = measure(Path::new(&folder), kind, rounds);
        println!("{:<30} {nanos:>10.0} {:>12.0} {half:>8} {most:>8} {nearly_all:>8}", kind.name, 1e9 / nanos);
    }
}

/// Median of the rounds, ns a message; and the percentiles of the frames.
fn measure(folder: &Path, kind: &Kind, rounds: usize) -> (f64, [u64; 3]) {
    let text = std::fs::read_to_string(folder.join(kind.file)).unwrap();
    let mut frames: Vec<String> = text.lines().map(str::to_owned).collect();
    (kind.prepare)(&mut frames);
    let mut nanos: Vec<f64> = (0..rounds)
        .map(|_| {
            let (mut opened, start) = open(folder, kind, &frames);
            let begun = cpu_nanos();
            for frame in &frames[start..] {
                opened.frame(frame);
            }
            let nanos = cpu_nanos() - begun;
            opened.check(kind, frames.len() - start);
            nanos as f64 / (frames.len() - start) as f64
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    let mut times: Vec<Vec<u64>> = Vec::new();
    for _ in 0..rounds {
        let (mut opened, start) = open(folder, kind, &frames);
        times.resize_with(frames.len() - start, Vec::new);
        for (frame, times) in frames[start..].iter().zip(&mut times) {
            let begun = cpu_nanos();
            opened.frame(frame);
            times.push(cpu_nanos() - begun);
        }
    }
    let mut each: Vec<u64> = times
        .into_iter()
        .map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        })
        .collect();
    each.sort_unstable();
    let at = |per_mille: usize| each[(each.len() - 1) * per_mille / 1000];
    (nanos[nanos.len() / 2], [at(500), at(990), at(999)])
}

/// A session whose books are right.
struct Opened {
    session: Box<dyn Session>,
    now: Timestamp,
    sink: Sink,
    before: (u64, u64),
}

impl Opened {
    fn frame(&mut self, frame: &str) {
        self.session.frame(LINK, Frame::Text(frame), self.now, &mut self.sink).unwrap();
    }

    /// Every frame brought a message, or an update of a book.
    fn check(&self, kind: &Kind, frames: usize) {
        let (messages, updates) = (self.sink.messages - self.before.0, self.sink.updates - self.before.1);
        let count = if kind.data_type == DataType::OrderBook { updates } else { messages };
        assert_eq!(count, frames as u64, "{}", kind.name);
    }
}

/// The session, and the first frame that is to be measured.
fn open(folder: &Path, kind: &Kind, frames: &[String]) -> (Opened, usize) {
    let ids: BTreeSet<String> = frames.iter().take(2_000).map(|frame| instrument_id(frame)).collect();
    let config = SessionConfig {
        instruments: ids.iter().map(|id| instrument(kind.integration, id)).collect(),
        data_types: vec![kind.data_type],
        options: SessionOptions {
            trade_stream: kind.trade_stream.map(str::to_owned),
            book_depth: 20,
            book_depth_max: 5_000,
            book_publish_interval: if kind.is_encoding { Duration::ZERO } else { NEVER },
            snapshot_levels: 1_000,
            book_mode: BookMode::Incremental,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        },
        seeds: Vec::new(),
    };
    let session = (registry::find(kind.integration).unwrap().open)(config);
    let now = Timestamp::from_millis(1_760_000_000_000).unwrap();
    let mut opened = Opened { session, now, sink: Sink::default(), before: (0, 0) };
    opened.session.opened(LINK, now, &mut opened.sink);
    let start =
        if kind.data_type == DataType::OrderBook { synchronise(folder, frames, &mut opened) } else { 0 };
    opened.before = (opened.sink.messages, opened.sink.updates);
    opened.sink.is_encoding = kind.is_encoding;
    (opened, start)
}

/// CPU time of this thread, ns.
fn cpu_nanos() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).unwrap()
}

/// Gives every book its snapshot, where REST brings it, and frames until all are right; the number of frames that took.
fn synchronise(folder: &Path, frames: &[String], opened: &mut Opened) -> usize {
    let text = std::fs::read_to_string(folder.join("binance_snapshots.json")).unwrap();
    let snapshots: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    for (used, frame) in frames.iter().enumerate() {
        opened.frame(frame);
        opened.now = opened.now.saturating_add_micros(1_000);
        opened.session.tick(opened.now, &mut opened.sink);
        for request in std::mem::take(&mut opened.sink.requests) {
            let id = request.path.split(['=', '&']).nth(1).unwrap();
            let body = snapshots[id].get().as_bytes();
            opened.session.fetched(request.id, Ok(body), opened.now, &mut opened.sink).unwrap();
        }
        if opened.session.status(opened.now).iter().all(|status| status.state == StreamState::Live) {
            return used + 1;
        }
    }
    panic!("the books never synchronised");
}

fn instrument_id(frame: &str) -> String {
    let frame: Value = serde_json::from_str(frame).unwrap();
    let names = [&frame["data"]["s"], &frame["arg"]["instId"], &frame["params"]["data"]["instrument_name"]];
    names.iter().find_map(|name| name.as_str()).unwrap().to_owned()
}

fn instrument(integration: &str, id: &str) -> Instrument {
    let (base, market_type) = match integration {
        "binance_spot" => (id.strip_suffix("USDT").unwrap(), MarketType::Spot),
        "okx_spot" => (id.strip_suffix("-USDT").unwrap(), MarketType::Spot),
        _ => (id.split(['-', '_']).next().unwrap(), MarketType::Perpetual),
    };
    let exchange = integration.split('_').next().unwrap();
    let pair = Instrument::pair(exchange, market_type, base, "USDT", id).unwrap();
    // Deribit's inverse contracts are counted in USD, its linear ones in base units.
    let unit = if id.contains("USDC") { ContractUnit::Base } else { ContractUnit::Quote };
    let contract = Contract { size: Decimal::parse(b"10").unwrap(), unit };
    Instrument { contract: (market_type == MarketType::Perpetual).then_some(contract), ..pair }
}

/// Counts anew per symbol: the generator counts over all symbols together.
fn renumber(frames: &mut [String], before: &str, after: &str) {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for frame in frames {
        let id = next.entry(instrument_id(frame)).and_modify(|id| *id += 1).or_insert(3_000_000_000);
        replace(std::slice::from_mut(frame), before, after, &id.to_string());
    }
}

fn replace(frames: &mut [String], before: &str, after: &str, value: &str) {
    for frame in frames {
        let start = frame.find(before).unwrap() + before.len();
        let end = start + frame[start..].find(after).unwrap();
        frame.replace_range(start..end, value);
    }
}
