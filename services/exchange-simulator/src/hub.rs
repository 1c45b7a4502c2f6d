//! The simulation as its parts see it: what is listed, who listens, what was sent. Publishing an event is here;
//! making events is `generator/` and `replay/`, sockets are `connection.rs`, wire formats each exchange's folder.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::binance::budget::Budgets;
use crate::binance::frames;
use crate::catalogue::Catalogue;
use crate::clock::now_us;
use crate::config::LimitsConfig;
use crate::connection::{Connection, Outgoing};
use crate::deribit;
use crate::event::Snapshot;
use crate::exchange::Exchange;
use crate::fault::Selector;
use crate::faults::{Faults, Verdict, Withheld};
use crate::generator::Generator;
use crate::history::History;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::okx::windows::Windows;
use crate::record::Frame;
use crate::replay::gate::Gate;
use crate::streams::{Stream, Subscriber, Subscriptions};

/// Where events and snapshots come from.
#[derive(Debug)]
pub(crate) enum Source {
    Synthetic { generator: Box<Generator>, seed: u64 },
    Replay(Arc<Gate>),
}

/// State shared by the engine, the sockets, REST and control.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Where the simulator listens.
    pub(crate) port: u16,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) connections: Connections,
    pub(crate) faults: Faults,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) history: History,
    pub(crate) source: Source,
    pub(crate) limits: LimitsConfig,
    pub(crate) paused: watch::Sender<bool>,
    pub(crate) binance_budgets: Budgets,
    pub(crate) okx_windows: Mutex<Windows>,
    pub(crate) okx_handshakes: Mutex<Windows>,
    pub(crate) deribit: deribit::State,
    requests: Mutex<BTreeMap<&'static str, u64>>,
}

impl Hub {
    pub(crate) fn new(
        port: u16,
        catalogue: Arc<Catalogue>,
        ledger: Arc<Ledger>,
        source: Source,
        limits: LimitsConfig,
        history_trades_max: usize,
    ) -> Self {
        Self {
            port,
            subscriptions: Subscriptions::default(),
            connections: Connections::default(),
            faults: Faults::default(),
            history: History::new(catalogue.all().len(), history_trades_max),
            paused: watch::Sender::new(false),
            binance_budgets: Budgets::new(&limits),
            okx_windows: Mutex::new(Windows::of(Duration::from_secs(2))),
            okx_handshakes: Mutex::new(Windows::of(Duration::from_secs(1))),
            deribit: deribit::State::default(),
            requests: Mutex::default(),
            catalogue,
            ledger,
            source,
            limits,
        }
    }

    /// Milliseconds since 1970 UTC as `exchange` believes it.
    pub(crate) fn now_ms(&self, exchange: Exchange) -> i64 {
        self.now_us(exchange) / 1000
    }

    /// Microseconds since 1970 UTC as `exchange` believes it.
    pub(crate) fn now_us(&self, exchange: Exchange) -> i64 {
        now_us().saturating_add(self.faults.skew_ms(exchange).saturating_mul(1000))
    }

    /// What makes events; a replay has none.
    pub(crate) fn generator(&self) -> Option<&Generator> {
        match &self.source {
            Source::Synthetic { generator, .. } => Some(generator),
            Source::Replay(_) => None,
        }
    }

    /// Sends an event to all who take `stream`, waiting for room in each one's queue: nothing is dropped for
    /// a slow reader. False when nobody takes it; then `encode` is not called.
    pub(crate) async fn publish(&self, stream: Stream, encode: impl FnOnce() -> Frame) -> bool {
        let Some(subscribers) = self.subscriptions.of(stream) else { return false };
        let mut frame = encode();
        let mut copies = 1;
        match self.faults.verdict(stream) {
            Verdict::Send => {}
            Verdict::SendTwice => copies = 2,
            Verdict::Corrupt => {
                self.faults.count_withheld(stream, Withheld::CorruptFrame);
                frame = Frame { text: cut_in_half(&frame.text), entries: Vec::new(), ..frame };
            }
            Verdict::Hold => {
                self.faults.hold(stream, frame);
                return true;
            }
            Verdict::Withhold(reason) => {
                self.faults.count_withheld(stream, reason);
                return true;
            }
        }
        self.send(stream, &subscribers, frame, copies).await;
        if let Some(held) = self.faults.take_held(stream) {
            self.send(stream, &subscribers, held, 1).await;
        }
        true
    }

    async fn send(&self, stream: Stream, subscribers: &[Subscriber], frame: Frame, copies: u32) {
        let Frame { text: data, entries, revision } = frame;
        let ticket = self.ledger.ticket(entries);
        for Subscriber { connection, name, since_revision } in subscribers {
            if revision.is_some_and(|revision| revision <= *since_revision) {
                continue;
            }
            if self.faults.silent_until(connection.exchange, connection.market_type).is_some() {
                self.faults.count_withheld(stream, Withheld::Silence);
                continue;
            }
            for _ in 0..copies {
                let text =
                    if connection.is_combined() { frames::combined(name, &data) } else { data.clone() };
                connection.send(Outgoing::Event { text, ticket: ticket.clone() }).await;
            }
        }
    }

    /// Sends `connection` the book of `stream`'s instrument as it stands and, from then on, every update behind it.
    /// A client whose queue is full is cut off: it could not be told the book.
    pub(crate) fn subscribe_with_book(
        &self,
        stream: Stream,
        connection: &Arc<Connection>,
        name: &str,
        levels_max: usize,
        encode: impl FnOnce(&Snapshot) -> Frame,
    ) {
        let Some(generator) = self.generator() else { return };
        // While the book stands still; so the snapshot is in the queue before any update that is not in it.
        generator.with_snapshot(stream.instrument, levels_max, |book| {
            let Frame { text, entries, .. } = encode(book);
            if !connection.try_send(Outgoing::Event { text, ticket: self.ledger.ticket(entries) }) {
                connection.cut();
                return;
            }
            self.subscriptions.add_since(stream, connection, name, book.revision);
        });
    }

    /// Counts a REST or control request under its route.
    pub(crate) fn count_request(&self, route: &'static str) {
        *lock(&self.requests).entry(route).or_default() += 1;
    }

    pub(crate) fn requests(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.requests).clone()
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

    /// Those that `selector` means.
    pub(crate) fn selected(&self, selector: &Selector) -> Vec<Arc<Connection>> {
        lock(&self.open)
            .values()
            .filter(|connection| selector.means_socket(connection.exchange, connection.market_type))
            .cloned()
            .collect()
    }
}

/// The first half of `data`, ended at a character.
fn cut_in_half(data: &str) -> String {
    let half = data.len() / 2;
    data.char_indices().take_while(|(at, _)| *at < half).map(|(_, character)| character).collect()
}
