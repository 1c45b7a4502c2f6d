//! Turns the board and the process's own sockets into metrics. Label sets are bounded by the configuration: exchanges and
//! data types, and of single streams the first `metrics.streams_max` that ever were.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use marketprism_core::{DataType, MarketType, Timestamp};
use marketprism_exchanges::{StreamState, StreamStatus, registry};
use marketprism_service::{Context, Report};
use procfs::process::{FDTarget, Process};

use super::{STATES, Shared, key};
use crate::metrics::{FreshnessMetrics, MarketMetrics, ResourcesMetrics, StateMetrics, StreamMetrics, place};

/// Reports between two looks at the process's sockets: the table of the whole machine's is read for it.
const RESOURCES_EVERY: u32 = 5;

/// What has metrics so far. They cannot be withdrawn: what is no longer on the board is zero.
#[derive(Debug)]
pub(crate) struct Gauges {
    process: Process,
    resources: ResourcesMetrics,
    streams_max: usize,
    turn: u32,
    exchanges: BTreeSet<String>,
    data_types: BTreeSet<(String, DataType)>,
    streams: BTreeSet<StreamId>,
}

type StreamId = (String, MarketType, String, DataType);

impl Gauges {
    /// # Errors
    /// Without `/proc`.
    pub(crate) fn new(streams_max: usize) -> Result<Self, Report> {
        Ok(Self {
            process: Process::myself().context("failed to open /proc/self")?,
            resources: ResourcesMetrics::default(),
            streams_max,
            turn: 0,
            exchanges: BTreeSet::new(),
            data_types: BTreeSet::new(),
            streams: BTreeSet::new(),
        })
    }

    /// Reads the process's sockets, now and then. Takes milliseconds on a busy machine, so the board must not be held
    /// meanwhile: every connection writes to it.
    pub(super) fn measure_process(&mut self) {
        if self.turn == 0 {
            self.set_resources();
        }
        self.turn = (self.turn + 1) % RESOURCES_EVERY;
    }

    pub(super) fn set(&mut self, shared: &Shared) {
        let books = shared.streams().filter(|(.., stream)| stream.data_type == DataType::OrderBook);
        self.resources.orderbook_objects.set(count(books.count()));
        self.set_exchanges(shared);
        self.set_data_types(shared);
        self.set_streams(shared);
    }

    /// What cannot be read stays as it was.
    fn set_resources(&self) {
        let Ok(descriptors) = self.process.fd() else { return };
        let targets: Vec<_> = descriptors.flatten().map(|descriptor| descriptor.target).collect();
        self.resources.file_descriptors.set(count(targets.len()));
        let (Ok(tcp), Ok(tcp6)) = (self.process.tcp(), self.process.tcp6()) else { return };
        let inodes: HashSet<_> = tcp.into_iter().chain(tcp6).map(|entry| entry.inode).collect();
        let is_tcp = |target: &&FDTarget| matches!(target, FDTarget::Socket(inode) if inodes.contains(inode));
        self.resources.tcp_connections.set(count(targets.iter().filter(is_tcp).count()));
    }

    fn set_exchanges(&mut self, shared: &Shared) {
        self.exchanges.extend(shared.streams().map(|(place, ..)| place.exchange.clone()));
        for exchange in &self.exchanges {
            let streams: Vec<_> = streams_of(shared, exchange).collect();
            let symbols: BTreeSet<_> = streams.iter().map(|one| (one.market_type, &one.symbol)).collect();
            let mut books =
                streams.iter().filter(|stream| stream.data_type == DataType::OrderBook).peekable();
            let is_synced = books.peek().is_some() && books.all(|book| book.state == StreamState::Live);
            let metrics = MarketMetrics::new_with_labels(&labels(exchange));
            metrics.active_symbols_count.set(count(symbols.len()));
            metrics.orderbook_sync_status.set(u32::from(is_synced));
        }
    }

    fn set_data_types(&mut self, shared: &Shared) {
        let present = shared.streams().map(|(place, _, stream)| (place.exchange.clone(), stream.data_type));
        self.data_types.extend(present);
        for (exchange, data_type) in &self.data_types {
            let streams: Vec<_> =
                streams_of(shared, exchange).filter(|stream| stream.data_type == *data_type).collect();
            let mut labels = labels(exchange);
            labels.push(("data_type", data_type.to_string()));
            if let Some(last) = streams.iter().filter_map(|stream| stream.last_received).max() {
                let metrics = FreshnessMetrics::new_with_labels(&labels);
                metrics.last_success_timestamp_seconds.set(seconds(last));
            }
            for (state, name) in STATES {
                let mut labels = labels.clone();
                labels.push(("state", name.to_owned()));
                let in_state = streams.iter().filter(|stream| stream.state == state).count();
                StateMetrics::new_with_labels(&labels).streams.set(count(in_state));
            }
        }
    }

    fn set_streams(&mut self, shared: &Shared) {
        let mut present = BTreeMap::new();
        for (place, entry, stream) in shared.streams() {
            let (exchange, symbol) = (place.exchange.clone(), stream.symbol.clone());
            let id = (exchange, stream.market_type, symbol, stream.data_type);
            if self.streams.contains(&id) || self.streams.len() < self.streams_max {
                self.streams.insert(id.clone());
                present.insert(id, (entry, stream));
            }
        }
        for id in &self.streams {
            let (exchange, market_type, symbol, data_type) = id;
            let token = registry::find(exchange).map_or("", |integration| integration.exchange);
            let metrics = StreamMetrics::new_with_labels(&[
                ("exchange", token.to_owned()),
                ("market_type", market_type.to_string()),
                ("symbol", symbol.clone()),
                ("data_type", data_type.to_string()),
            ]);
            let rate =
                present.get(id).and_then(|(entry, stream)| entry.counts.get(&key(stream))?.rate.per_minute);
            metrics
                .stream_events_per_minute
                .set(count(usize::try_from(rate.unwrap_or(0)).unwrap_or(usize::MAX)));
            if let Some(last) = present.get(id).and_then(|(_, stream)| stream.last_event) {
                metrics.stream_last_event_timestamp_seconds.set(seconds(last));
            }
        }
    }
}

fn streams_of<'a>(shared: &'a Shared, exchange: &'a str) -> impl Iterator<Item = &'a StreamStatus> {
    shared.streams().filter(move |(place, ..)| place.exchange == exchange).map(|(.., stream)| stream)
}

fn labels(exchange: &str) -> Vec<(&'static str, String)> {
    registry::find(exchange).map(|integration| place(integration).to_vec()).unwrap_or_default()
}

/// A gauge takes a float; no count of ours is near the end of this type.
fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// Whole seconds: exact in a float.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}
