//! The board on which exchanges and connections write how their streams are doing. What is made of it: health ([`health`]),
//! the page `/status` ([`status`]), metrics ([`gauges`]).

mod gauges;
mod health;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use marketprism_core::{DataType, MarketType, Timestamp};
use marketprism_exchanges::{StreamState, StreamStatus};

use crate::clock;
use crate::gate::Gate;

pub(crate) use gauges::Gauges;
pub(crate) use health::report;
pub(crate) use status::page;

/// A rate is the mean over at least so long.
const RATE_MICROS: i64 = 10_000_000;

/// Shared by every exchange and connection. Bounded by the plan: one entry a connection, a few complaints an exchange.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    connections: BTreeMap<Place, Entry>,
    complaints: BTreeMap<(String, Topic), String>,
    /// By exchange: what is closed is a complaint, too.
    gates: BTreeMap<String, Vec<Gate>>,
}

/// A connection: the exchange (integration id) and its name there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    exchange: String,
    connection: String,
}

/// What a complaint is about; one each can stand at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// What the exchange lists is not known.
    Listing,
    /// Not everything that is configured can be had.
    Symbols,
    /// More sockets are planned than the exchange allows.
    Sockets,
}

/// One connection.
#[derive(Debug, Default)]
struct Entry {
    /// Sockets open now.
    links: usize,
    streams: Vec<StreamStatus>,
    /// Of the streams there are.
    counts: HashMap<StreamKey, Counts>,
}

type StreamKey = (MarketType, String, DataType);

/// What a stream has been through since it began here.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    gaps: u64,
    last_gap: Option<Timestamp>,
    resyncs: u64,
    rate: Rate,
}

/// Events a minute, measured from time to time.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    since: Option<Timestamp>,
    events: u64,
    per_minute: Option<u64>,
}

impl Rate {
    fn measure(&mut self, events: u64, now: Timestamp) {
        let elapsed = self.since.map(|since| now.micros_since(since));
        match elapsed {
            Some(elapsed) if elapsed < RATE_MICROS => return,
            Some(elapsed) => {
                let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
                let new = events.saturating_sub(self.events);
                self.per_minute = Some(new.saturating_mul(60_000_000) / elapsed);
            }
            None => {}
        }
        *self = Self { since: Some(now), events, per_minute: self.per_minute };
    }
}

impl Board {
    /// The place of one connection on the board, until it is dropped.
    pub(crate) fn post(&self, exchange: &str, connection: &str) -> Post {
        let place = Place { exchange: exchange.to_owned(), connection: connection.to_owned() };
        self.lock().connections.insert(place.clone(), Entry::default());
        Post { board: self.clone(), place }
    }

    /// Replaces what is wrong with a whole exchange; `None` when nothing is.
    pub(crate) fn complain(&self, exchange: &str, topic: Topic, complaint: Option<String>) {
        let (mut shared, key) = (self.lock(), (exchange.to_owned(), topic));
        match complaint {
            Some(complaint) => shared.complaints.insert(key, complaint),
            None => shared.complaints.remove(&key),
        };
    }

    /// The gates of an exchange, watched from now on.
    pub(crate) fn gates(&self, exchange: &str, gates: Vec<Gate>) {
        self.lock().gates.insert(exchange.to_owned(), gates);
    }

    /// An exchange is no longer collected.
    pub(crate) fn forget(&self, exchange: &str) {
        let mut shared = self.lock();
        shared.gates.remove(exchange);
        shared.complaints.retain(|(of, _), _| of != exchange);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Everything that is wrong with an exchange as a whole, each said once.
    fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<_> = self.complaints.values().cloned().collect();
        for (exchange, gates) in &self.gates {
            let closed: Vec<_> = gates.iter().filter_map(Gate::closed).map(|closed| closed.why).collect();
            let is_explained = !closed.is_empty() || self.complaints.keys().any(|(of, _)| of == exchange);
            if !is_explained && !self.streams().any(|(place, ..)| place.exchange == *exchange) {
                complaints.push(format!("{exchange} has no stream yet: its instruments are being read"));
            }
            complaints.extend(closed);
        }
        complaints.sort();
        complaints.dedup();
        complaints
    }

    fn streams(&self) -> impl Iterator<Item = (&Place, &Entry, &StreamStatus)> {
        self.connections
            .iter()
            .flat_map(|(place, entry)| entry.streams.iter().map(move |stream| (place, entry, stream)))
    }
}

/// Where one connection writes. Its entry goes with it.
#[derive(Debug)]
pub(crate) struct Post {
    board: Board,
    place: Place,
}

impl Post {
    /// Replaces what was written before: the streams, and how many sockets are open.
    pub(crate) fn write(&self, streams: Vec<StreamStatus>, links: usize) {
        let now = clock::now();
        self.with(|entry| {
            let mut counts = HashMap::with_capacity(streams.len());
            for stream in &streams {
                let key = key(stream);
                let mut of_stream = entry.counts.remove(&key).unwrap_or_default();
                of_stream.rate.measure(stream.events, now);
                counts.insert(key, of_stream);
            }
            *entry = Entry { links, streams, counts };
        });
    }

    /// Counts a gap that was declared.
    pub(crate) fn gap(&self, market_type: MarketType, symbol: &str, data_type: DataType) {
        let key = (market_type, symbol.to_owned(), data_type);
        let now = clock::now();
        self.with(|entry| {
            if let Some(counts) = entry.counts.get_mut(&key) {
                counts.gaps += 1;
                counts.last_gap = Some(now);
            }
        });
    }

    /// Counts a book that was thrown away and is being built again.
    pub(crate) fn resync(&self, symbol: &str) {
        self.with(|entry| {
            let of_symbol =
                |(_, of, data_type): &StreamKey| of == symbol && *data_type == DataType::OrderBook;
            let books = entry.counts.iter_mut().filter(|(key, _)| of_symbol(key));
            books.for_each(|(_, counts)| counts.resyncs += 1);
        });
    }

    fn with(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.board.lock().connections.get_mut(&self.place) {
            change(entry);
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.board.lock().connections.remove(&self.place);
    }
}

fn key(stream: &StreamStatus) -> StreamKey {
    (stream.market_type, stream.symbol.clone(), stream.data_type)
}

/// As health, metrics and `/status` call it.
const STATES: [(StreamState, &str); 5] = [
    (StreamState::Disconnected, "disconnected"),
    (StreamState::Live, "live"),
    (StreamState::Waiting, "waiting"),
    (StreamState::Syncing, "syncing"),
    (StreamState::Stale, "stale"),
];

fn state_name(state: StreamState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("unknown", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_mean_of_ten_seconds() {
        let at = |seconds: i64| Timestamp::from_micros(1_800_000_000_000_000 + seconds * 1_000_000).unwrap();
        let mut rate = Rate::default();
        rate.measure(100, at(0));
        assert_eq!(rate.per_minute, None);
        rate.measure(150, at(5));
        assert_eq!(rate.per_minute, None, "too short");
        rate.measure(200, at(10));
        assert_eq!(rate.per_minute, Some(600));
        rate.measure(201, at(30));
        assert_eq!(rate.per_minute, Some(3));
    }

    #[test]
    fn an_entry_lives_as_long_as_its_connection() {
        let board = Board::default();
        let post = board.post("binance_spot", "stream-0");
        let stream = StreamStatus {
            market_type: MarketType::Spot,
            symbol: "BTC-USDT".to_owned(),
            data_type: DataType::OrderBook,
            state: StreamState::Live,
            last_received: None,
            last_event: None,
            events: 7,
        };
        post.write(vec![stream.clone()], 1);
        post.gap(MarketType::Spot, "BTC-USDT", DataType::OrderBook);
        post.resync("BTC-USDT");
        post.gap(MarketType::Spot, "GONE-USDT", DataType::Trade);
        post.write(vec![stream.clone()], 2);
        let counts = |board: &Board| {
            let shared = board.lock();
            let entry = shared.connections.values().next().unwrap();
            (
                entry.links,
                entry.counts.len(),
                entry.counts[&key(&stream)].gaps,
                entry.counts[&key(&stream)].resyncs,
            )
        };
        assert_eq!(counts(&board), (2, 1, 1, 1));
        drop(post);
        assert!(board.lock().connections.is_empty());
    }
}
