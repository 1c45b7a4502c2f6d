//! Which feed of which instrument, and who takes it. A feed is what happens on the exchange; how clients
//! name it on the wire is `binance/stream_name.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::instrument::{Instrument, MarketType};
use crate::lock::lock;

/// The kinds of events a client can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Feed {
    Trade,
    AggregateTrade,
    Depth,
    BookTicker,
}

/// A feed of the instrument at an index of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) instrument: usize,
    pub(crate) feed: Feed,
}

/// Every instrument served, found by index or by the exchange's name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    instruments: Vec<Arc<Instrument>>,
    by_name: HashMap<(MarketType, String), usize>,
}

impl Catalogue {
    pub(crate) fn new(instruments: Vec<Instrument>) -> Self {
        let by_name = instruments
            .iter()
            .enumerate()
            .map(|(index, instrument)| ((instrument.market_type, instrument.instrument_id.clone()), index))
            .collect();
        Self { instruments: instruments.into_iter().map(Arc::new).collect(), by_name }
    }

    pub(crate) fn all(&self) -> &[Arc<Instrument>] {
        &self.instruments
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Arc<Instrument>> {
        self.instruments.get(index)
    }

    pub(crate) fn find(&self, market_type: MarketType, instrument_id: &str) -> Option<usize> {
        self.by_name.get(&(market_type, instrument_id.to_owned())).copied()
    }
}

/// One connection's interest in a stream, under the name it asked for (`btcusdt@depth` and
/// `btcusdt@depth@100ms` are the same stream here).
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) connection: Arc<Connection>,
    pub(crate) name: Arc<str>,
}

/// Who gets what. Bounded by connections times their stream limit.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_stream: Mutex<HashMap<Stream, Arc<Vec<Subscriber>>>>,
    added: Notify,
}

impl Subscriptions {
    pub(crate) fn add(&self, stream: Stream, subscriber: Subscriber) {
        let mut by_stream = lock(&self.by_stream);
        Arc::make_mut(by_stream.entry(stream).or_default()).push(subscriber);
        drop(by_stream);
        self.added.notify_one();
    }

    /// Returns when something was subscribed since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn remove(&self, stream: Stream, connection_id: u64, name: &str) {
        let mut by_stream = lock(&self.by_stream);
        if let Some(subscribers) = by_stream.get_mut(&stream) {
            Arc::make_mut(subscribers).retain(|s| s.connection.id != connection_id || &*s.name != name);
        }
    }

    pub(crate) fn remove_connection(&self, connection_id: u64) {
        for subscribers in lock(&self.by_stream).values_mut() {
            if subscribers.iter().any(|s| s.connection.id == connection_id) {
                Arc::make_mut(subscribers).retain(|s| s.connection.id != connection_id);
            }
        }
    }

    /// Those who take `stream` now; `None` when nobody does.
    pub(crate) fn of(&self, stream: Stream) -> Option<Arc<Vec<Subscriber>>> {
        lock(&self.by_stream).get(&stream).filter(|subscribers| !subscribers.is_empty()).map(Arc::clone)
    }
}
