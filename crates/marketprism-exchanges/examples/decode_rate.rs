//! How fast one thread turns Binance frames into messages: `decode_rate <folder> [rounds] [kind]`.
//!
//! The folder holds `binance_depth.jsonl`, `binance_snapshots.json`, `binance_trade.jsonl` and
//! `binance_aggtrade.jsonl`. One line a kind: the median of the rounds in ns a message and messages a second, by the
//! thread's own CPU time where the system tells it, so that neighbours on a busy machine count less. Not a test of
//! correctness, except that every message must come out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::print_stdout, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use marketprism_core::{DataType, Instrument, MarketType, Message, Timestamp};
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
            Note::BookUpdated { .. } | Note::Synced { .. } => self.updates += 1,
            other => panic!("{other:?}"),
        }
    }
}

struct Kind {
    name: &'static str,
    file: &'static str,
    data_type: DataType,
    trade_stream: &'static str,
    /// The id to count anew per symbol: the generator counts over all symbols together.
    id_field: Option<&'static str>,
    publish_interval: Duration,
    is_encoding: bool,
}

const NEVER: Duration = Duration::from_secs(3600);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: decode_rate <folder> [rounds] [kind]");
    let rounds = arguments.next().map_or(5, |rounds| rounds.parse().expect("rounds: a number"));
    let only = arguments.next();
    let kind = |name, file, data_type, trade_stream, id_field, publish_interval, is_encoding| Kind {
        name,
        file,
        data_type,
        trade_stream,
        id_field,
        publish_interval,
        is_encoding,
    };
    let (depth, trade, aggregate) = ("binance_depth.jsonl", "binance_trade.jsonl", "binance_aggtrade.jsonl");
    let kinds = [
        kind("depth_book", depth, DataType::OrderBook, "trade", None, NEVER, false),
        kind("depth_book_top20_json", depth, DataType::OrderBook, "trade", None, Duration::ZERO, true),
        kind("trade", trade, DataType::Trade, "trade", Some("\"t\":"), NEVER, false),
        kind("trade_json", trade, DataType::Trade, "trade", Some("\"t\":"), NEVER, true),
        kind("agg_trade", aggregate, DataType::Trade, "aggTrade", Some("\"a\":"), NEVER, false),
    ];
    println!("{:<24} {:>10} {:>14}", "kind", "ns/message", "messages/s");
    for kind in kinds.into_iter().filter(|kind| only.as_ref().is_none_or(|only| only == kind.name)) {
        let nanos = measure(Path::new(&folder), &kind, rounds);
        println!("{:<24} {nanos:>10.0} {:>14.0}", kind.name, 1e9 / nanos);
    }
}

/// Median of the rounds, ns a message.
fn measure(folder: &Path, kind: &Kind, rounds: usize) -> f64 {
    let text = std::fs::read_to_string(folder.join(kind.file)).unwrap();
    let mut frames: Vec<String> = text.lines().map(str::to_owned).collect();
    let ids = instrument_ids(&frames);
    if let Some(field) = kind.id_field {
        renumber(&mut frames, field);
    }
    let mut nanos: Vec<f64> = (0..rounds).map(|_| round(folder, kind, &frames, &ids)).collect();
    nanos.sort_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}

fn round(folder: &Path, kind: &Kind, frames: &[String], ids: &BTreeSet<String>) -> f64 {
    let pair = |id: &String| {
        let base = id.strip_suffix("USDT").unwrap();
        Instrument::pair("binance", MarketType::Spot, base, "USDT", id).unwrap()
    };
    let config = SessionConfig {
        instruments: ids.iter().map(pair).collect(),
        data_types: vec![kind.data_type],
        options: SessionOptions {
            trade_stream: Some(kind.trade_stream.to_owned()),
            book_depth: 20,
            book_depth_max: 5_000,
            book_publish_interval: kind.publish_interval,
            snapshot_levels: 1_000,
            book_mode: BookMode::Incremental,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        },
        seeds: Vec::new(),
    };
    let mut session = (registry::find("binance_spot").unwrap().open)(config);
    let now = Timestamp::from_millis(1_760_000_000_000).unwrap();
    let mut sink = Sink::default();
    session.opened(Link(0), now, &mut sink);
    let start = if kind.data_type == DataType::OrderBook {
        synchronise(folder, frames, ids, session.as_mut(), now, &mut sink)
    } else {
        0
    };
    let (frames, before) = (&frames[start..], (sink.messages, sink.updates));
    sink.is_encoding = kind.is_encoding;
    let begun = Clock::start();
    for frame in frames {
        session.frame(Link(0), Frame::Text(frame), now, &mut sink).unwrap();
    }
    let nanos = begun.nanos();
    let count = frames.len() as u64;
    match kind.data_type {
        DataType::OrderBook => assert_eq!(sink.updates - before.1, count),
        _ => assert_eq!(sink.messages - before.0, count),
    }
    nanos as f64 / count as f64
}

/// CPU time of this thread, else time on the wall.
struct Clock {
    wall: Instant,
    cpu: Option<u128>,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: Self::cpu() }
    }

    fn nanos(&self) -> u128 {
        match (self.cpu, Self::cpu()) {
            (Some(before), Some(now)) => now - before,
            _ => self.wall.elapsed().as_nanos(),
        }
    }

    /// The first number in the file is the ns spent on a CPU.
    fn cpu() -> Option<u128> {
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
    }
}

/// Gives every book its snapshot and an event that joins; the number of frames that took.
fn synchronise(
    folder: &Path,
    frames: &[String],
    ids: &BTreeSet<String>,
    session: &mut dyn Session,
    mut now: Timestamp,
    sink: &mut Sink,
) -> usize {
    let text = std::fs::read_to_string(folder.join("binance_snapshots.json")).unwrap();
    let snapshots: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    for (used, frame) in frames.iter().enumerate() {
        session.frame(Link(0), Frame::Text(frame), now, sink).unwrap();
        now = now.saturating_add_micros(1_000);
        session.tick(now, sink);
        for request in std::mem::take(&mut sink.requests) {
            let id = request.path.split(['=', '&']).nth(1).unwrap();
            session.fetched(request.id, Ok(snapshots[id].get().as_bytes()), now, sink).unwrap();
        }
        if session.status(now).iter().all(|status| status.state == StreamState::Live) {
            return used + 1;
        }
    }
    panic!("{} books never synchronised", ids.len());
}

fn instrument_ids(frames: &[String]) -> BTreeSet<String> {
    let id = |frame: &String| {
        serde_json::from_str::<Value>(frame).unwrap()["data"]["s"].as_str().unwrap().to_owned()
    };
    frames.iter().take(2_000).map(id).collect()
}

fn renumber(frames: &mut [String], field: &str) {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for frame in frames {
        let symbol = frame.split('@').next().unwrap().to_owned();
        let id = next.entry(symbol).and_modify(|id| *id += 1).or_insert(3_000_000_000);
        let start = frame.find(field).unwrap() + field.len();
        let end = start + frame[start..].find(',').unwrap();
        frame.replace_range(start..end, &id.to_string());
    }
}
