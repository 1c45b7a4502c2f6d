//! Which feed of which instrument, and who takes it. A feed is what happens on the exchange; how clients
//! name it on the wire is each exchange's own folder.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::lock::lock;
use crate::record::DataType;

/// The kinds of events a client can take. Not every exchange has each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Feed {
    Trade,
    AggregateTrade,
    Depth,
    BookTicker,
    /// Mark price, index price and, where the exchange puts it there, funding.
    MarkPrice,
    /// Every instrument's mark price in one message (Binance `!markPrice@arr`), at the market's first instrument.
    MarkPrices,
    FundingRate,
    OpenInterest,
    Liquidation,
    /// Liquidations of instruments that are not listed here, at the market's first instrument.
    ForeignLiquidation,
    Ticker,
    VolatilityIndex,
    /// Changes of the list of instruments, at the market's first instrument.
    Instruments,
    /// The exchange's state (Deribit `platform_state`), at the market's first instrument.
    Platform,
}

impl Feed {
    /// What its events are counted as when they are kept back; `None` is what the ledger does not know.
    pub(crate) fn data_type(self) -> Option<DataType> {
        match self {
            Self::Trade | Self::AggregateTrade => Some(DataType::Trade),
            Self::Depth => Some(DataType::OrderBook),
            Self::BookTicker => Some(DataType::BestBidAsk),
            Self::MarkPrice | Self::MarkPrices | Self::FundingRate => Some(DataType::FundingRate),
            Self::OpenInterest | Self::Ticker => Some(DataType::OpenInterest),
            Self::Liquidation => Some(DataType::Liquidation),
            Self::VolatilityIndex => Some(DataType::VolatilityIndex),
            Self::ForeignLiquidation | Self::Instruments | Self::Platform => None,
        }
    }
}

/// A feed of the instrument at an index of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) instrument: usize,
    pub(crate) feed: Feed,
}

/// One connection's interest in a stream, under the name it asked for (`btcusdt@depth` and
/// `btcusdt@depth@100ms` are the same stream here).
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) connection: Arc<Connection>,
    pub(crate) name: Arc<str>,
    /// The revision of the book this subscription began with, on exchanges that push one: updates up to it are in it.
    pub(crate) since_revision: u64,
}

/// Who gets what. Bounded by connections times their stream limit.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_stream: Mutex<HashMap<Stream, Arc<Vec<Subscriber>>>>,
    added: Notify,
}

impl Subscriptions {
    /// `connection` takes `stream` from now on.
    pub(crate) fn add(&self, stream: Stream, connection: &Arc<Connection>, name: &str) {
        self.add_since(stream, connection, name, 0);
    }

    /// The same, without what is already in the book of revision `since_revision`.
    pub(crate) fn add_since(
        &self,
        stream: Stream,
        connection: &Arc<Connection>,
        name: &str,
        since_revision: u64,
    ) {
        let subscriber =
            Subscriber { connection: Arc::clone(connection), name: Arc::from(name), since_revision };
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
