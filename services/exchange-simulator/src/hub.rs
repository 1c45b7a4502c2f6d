//! The exchange as its parts see it: what is listed, who listens, what was sent. Publishing an event is here;
//! making events is `generator/` and `replay/`, sockets are `connection.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::binance::budget::Budget;
use crate::binance::frames;
use crate::config::LimitsConfig;
use crate::connection::{Connection, Outgoing};
use crate::fault::{Faults, Verdict, Withheld};
use crate::generator::Market;
use crate::history::History;
use crate::instrument::MarketType;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::record::{DataType, Record};
use crate::replay::gate::Gate;
use crate::streams::{Catalogue, Feed, Stream, Subscriptions};

/// Where events and snapshots come from.
#[derive(Debug)]
pub(crate) enum Source {
    Synthetic { market: Box<Market>, seed: u64 },
    Replay(Arc<Gate>),
}

/// State shared by the engine, the sockets, REST and control.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) connections: Connections,
    pub(crate) faults: Faults,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) history: History,
    pub(crate) source: Source,
    pub(crate) limits: LimitsConfig,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) budgets: Budgets,
    requests: Mutex<BTreeMap<&'static str, u64>>,
}

impl Exchange {
    pub(crate) fn new(
        catalogue: Arc<Catalogue>,
        ledger: Arc<Ledger>,
        source: Source,
        limits: LimitsConfig,
        history_trades_max: usize,
    ) -> Self {
        Self {
            subscriptions: Subscriptions::default(),
            connections: Connections::default(),
            faults: Faults::default(),
            history: History::new(catalogue.all().len(), history_trades_max),
            paused: watch::Sender::new(false),
            budgets: Budgets {
                spot: Mutex::new(Budget::new(limits.spot_weight_per_minute)),
                perpetual: Mutex::new(Budget::new(limits.usdm_weight_per_minute)),
            },
            requests: Mutex::default(),
            catalogue,
            ledger,
            source,
            limits,
        }
    }

    /// Sends an event to all who take `stream`, waiting for room in each one's queue: nothing is dropped for
    /// a slow reader. False when nobody takes it; then `encode` is not called.
    pub(crate) async fn publish(&self, stream: Stream, encode: impl FnOnce() -> (String, Record)) -> bool {
        let Some(subscribers) = self.subscriptions.of(stream) else { return false };
        let (mut data, mut record) = encode();
        let copies = match self.faults.verdict(stream) {
            Verdict::Send => 1,
            Verdict::SendTwice => 2,
            Verdict::Corrupt => {
                self.count_withheld(stream, Withheld::CorruptFrame);
                record = Record::Unrecorded;
                data = cut_in_half(&data);
                1
            }
            Verdict::Withhold(reason) => {
                self.count_withheld(stream, reason);
                return true;
            }
        };
        let ticket = self.ledger.ticket(stream.instrument, record);
        for subscriber in subscribers.iter() {
            for _ in 0..copies {
                let text = if subscriber.connection.is_combined() {
                    frames::combined(&subscriber.name, &data)
                } else {
                    data.clone()
                };
                subscriber.connection.send(Outgoing::Event { text, ticket: ticket.clone() }).await;
            }
        }
        true
    }

    /// Counts a REST or control request under its route.
    pub(crate) fn count_request(&self, route: &'static str) {
        *lock(&self.requests).entry(route).or_default() += 1;
    }

    pub(crate) fn requests(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.requests).clone()
    }

    fn count_withheld(&self, stream: Stream, reason: Withheld) {
        let data_type = match stream.feed {
            Feed::Trade | Feed::AggregateTrade => DataType::Trade,
            Feed::Depth => DataType::OrderBook,
            Feed::BookTicker => DataType::BestBidAsk,
        };
        self.faults.count_withheld(stream.instrument, data_type, reason);
    }
}

/// The REST weight budgets.
#[derive(Debug)]
pub(crate) struct Budgets {
    spot: Mutex<Budget>,
    perpetual: Mutex<Budget>,
}

impl Budgets {
    pub(crate) fn of(&self, market_type: MarketType) -> &Mutex<Budget> {
        match market_type {
            MarketType::Spot => &self.spot,
            MarketType::Perpetual => &self.perpetual,
        }
    }
}

/// Open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    total: AtomicU64,
}

impl Connections {
    pub(crate) fn next_id(&self) -> u64 {
        self.total.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, connection: Arc<Connection>) {
        lock(&self.open).insert(connection.id, connection);
    }

    pub(crate) fn remove(&self, id: u64) {
        lock(&self.open).remove(&id);
    }

    pub(crate) fn open_count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Connections since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Those of one market, or all.
    pub(crate) fn of(&self, market_type: Option<MarketType>) -> Vec<Arc<Connection>> {
        lock(&self.open)
            .values()
            .filter(|connection| market_type.is_none_or(|wanted| connection.route.market_type() == wanted))
            .cloned()
            .collect()
    }
}

/// The first half of `data`, ended at a character.
fn cut_in_half(data: &str) -> String {
    let half = data.len() / 2;
    data.char_indices().take_while(|(at, _)| *at < half).map(|(_, character)| character).collect()
}
