//! One configured exchange: learns its instruments, plans its connections, and owns them until told to stop. Instruments that
//! come, go or change reach the running connections; the other streams never notice.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use marketprism_bus::Bus;
use marketprism_core::{DataType, Instrument, MarketType};
use marketprism_exchanges::registry::{BookMode, Integration, Seed, SessionConfig};
use marketprism_service::{Backoff, CancellationToken, Context, Report};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::board::Topic;
use crate::config::ExchangeConfig;
use crate::connection::{COMMANDS_MAX, Command, Connection, ConnectionConfig, Shared};
use crate::door::too_many;
use crate::listing::Listing;
use crate::metrics::ConnectionMetrics;
use crate::plan::{Planned, plan, sockets};
use crate::proxy::Way;
use crate::rest::{Hosts, Rest};
use crate::seeds;
use crate::snapshots::Snapshots;
use crate::socket::Dialer;
use crate::symbols::select;

/// How long a connection may take to answer; one that runs does within milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a running exchange can be told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Other symbols are wanted from now on; everything else of the configuration is as before.
    Select(Box<ExchangeConfig>, oneshot::Sender<Change>),
    /// Build a book anew, and look at the instrument list, which may be the reason; answers whether there is one.
    Resync(MarketType, String, oneshot::Sender<bool>),
}

/// Symbols that joined and left.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Change {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
}

/// What the exchange lists; `None` until that is known.
pub(crate) type Listed = Option<Arc<Vec<Instrument>>>;

/// Everything one exchange's task needs.
#[derive(Debug)]
pub(crate) struct Exchange {
    integration: &'static Integration,
    config: ExchangeConfig,
    listing: Listing,
    dialer: Dialer,
    /// Where to read what was published last; `None` when nothing is published.
    bus: Option<Bus>,
    shared: Shared,
    listed: watch::Sender<Listed>,
    running: BTreeMap<String, Running>,
    connections: JoinSet<String>,
}

/// A connection that runs.
#[derive(Debug)]
struct Running {
    planned: Planned,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
}

impl Exchange {
    /// # Errors
    /// When no HTTP client can be made of the configured proxy.
    pub(crate) fn new(
        integration: &'static Integration,
        config: ExchangeConfig,
        way: Way,
        hosts: &Hosts,
        bus: Option<Bus>,
        shared: Shared,
    ) -> Result<Self, Report> {
        let base = config.rest_url.as_deref().unwrap_or(integration.rest_url);
        let rest = Rest::new(hosts, base, integration, &way)?;
        let base = config.ws_url.as_deref().unwrap_or(integration.ws_url).trim_end_matches('/');
        let (limit, attempts) = (&integration.connect_limit, config.connects_per_minute_max);
        let door = hosts.doors.of(base, way.proxy_to(base), limit, attempts);
        let dialer = Dialer::new(integration.id, base, way, door);
        shared.board.gates(integration.id, vec![rest.gate().clone(), dialer.gate().clone()]);
        let listing = Listing { integration, rest, tap: shared.tap.clone() };
        Ok(Self {
            integration,
            config,
            listing,
            dialer,
            bus,
            shared,
            listed: watch::Sender::default(),
            running: BTreeMap::new(),
            connections: JoinSet::new(),
        })
    }

    /// What the exchange lists, as it changes.
    pub(crate) fn listed(&self) -> watch::Receiver<Listed> {
        self.listed.subscribe()
    }

    /// Runs the exchange until `stop`. What is wrong with it is said in health; the other exchanges run on.
    ///
    /// # Errors
    /// When a connection's task died.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        stop: CancellationToken,
    ) -> Result<(), Report> {
        let mut listing = self.list_after(Duration::ZERO);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                instruments = &mut listing => {
                    self.listed.send_replace(Some(Arc::new(instruments)));
                    self.settle(&stop).await;
                    listing = self.list_after(self.config.instruments_refresh.get());
                }
                Some(order) = orders.recv() => match order {
                    Order::Select(config, reply) => {
                        self.config = *config;
                        // Whoever asked may have given up.
                        reply.send(self.settle(&stop).await).ok();
                    }
                    Order::Resync(market_type, symbol, reply) => {
                        reply.send(self.resync(market_type, &symbol).await).ok();
                        listing = self.list_after(Duration::ZERO);
                    }
                },
                Some(ended) = self.connections.join_next() => self.ended(ended)?,
            }
        }
        while let Some(ended) = self.connections.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    fn list_after(&self, delay: Duration) -> Pin<Box<dyn Future<Output = Vec<Instrument>> + Send>> {
        let Shared { board, reconnect, .. } = &self.shared;
        Box::pin(self.listing.clone().read_after(delay, board.clone(), *reconnect))
    }

    /// Makes what runs what is wanted, given what is listed.
    async fn settle(&mut self, stop: &CancellationToken) -> Change {
        let id = self.integration.id;
        let Some(listed) = self.listed.borrow().clone() else { return Change::default() };
        let current: Vec<_> = self.running.values().map(|running| running.planned.clone()).collect();
        let before: BTreeSet<_> =
            symbols(&current).map(|(instrument_id, _)| instrument_id.to_owned()).collect();
        let selected = select(self.integration, &self.config, &listed, &before);
        let complaint = selected.complaint(id);
        if let Some(complaint) = &complaint {
            tracing::error!(exchange = id, complaint, "check exchanges.{id}.symbols");
        }
        self.shared.board.complain(id, Topic::Symbols, complaint);

        let next = plan(self.integration, &self.config, &selected.instruments, &current);
        let sockets = too_many(self.integration, sockets(&self.config, &next));
        self.shared.board.complain(id, Topic::Sockets, sockets);
        let change = difference(&current, &next);
        if change != Change::default() && !current.is_empty() {
            tracing::info!(exchange = id, added = ?change.added, removed = ?change.removed, "instruments changed");
        }
        let names: BTreeSet<_> = next.iter().map(|planned| planned.name.clone()).collect();
        for planned in next {
            match self.running.get_mut(&planned.name) {
                Some(running) if running.planned == planned => {}
                Some(running) => {
                    let command = Command::SetInstruments(planned.instruments.clone());
                    running.planned = planned;
                    // Only fails when its task ended, which `connections` tells next.
                    running.commands.send(command).await.ok();
                }
                None => self.start(planned, stop),
            }
        }
        // An empty connection is closed; its session publishes or declares what is pending.
        self.running.retain(|name, running| {
            let is_wanted = names.contains(name);
            if !is_wanted {
                running.stop.cancel();
            }
            is_wanted
        });
        change
    }

    /// Starts a connection; it opens when what was published last is known. Nobody waits for that, for the broker may be away.
    fn start(&mut self, planned: Planned, stop: &CancellationToken) {
        let Planned { name, path, data_types, instruments } = planned.clone();
        tracing::info!(
            exchange = self.integration.id,
            connection = name,
            path = path.unwrap_or_default(),
            symbols = instruments.len(),
            ?data_types,
            "connection planned"
        );
        let (commander, commands) = mpsc::channel(COMMANDS_MAX);
        let stop = stop.child_token();
        self.running.insert(name.clone(), Running { planned, commands: commander, stop: stop.clone() });
        let (integration, bus, shared) = (self.integration, self.bus.clone(), self.shared.clone());
        let (dialer, rest) = (self.dialer.clone(), self.listing.rest.clone());
        let options = self.config.session_options();
        let is_polled = self.config.orderbook.mode == BookMode::Snapshot;
        let (redundancy, life) = (usize::from(self.config.redundancy), self.config.life(integration));
        self.connections.spawn(async move {
            let seeds = seeds(bus, integration.id, &shared, &instruments, &data_types);
            let Some(seeds) = stop.run_until_cancelled(seeds).await else { return name };
            let config = SessionConfig { instruments, data_types, options, seeds };
            shared.tap.session(integration.id, &name, &config);
            let connection = Connection::new(ConnectionConfig {
                exchange: integration.id,
                metrics: ConnectionMetrics::new(integration, &name),
                name: name.clone(),
                path,
                session: (integration.open)(config),
                redundancy,
                life,
                dialer,
                rest,
                snapshots: is_polled.then(|| Snapshots::new(integration)),
                commands,
                shared,
            });
            connection.run(stop).await;
            name
        });
    }

    /// A connection that ended because it was told to is no news.
    fn ended(&self, ended: Result<String, tokio::task::JoinError>) -> Result<(), Report> {
        let name = ended.context("a connection's task died")?;
        match self.running.get(&name) {
            Some(running) if !running.stop.is_cancelled() => {
                Err(Report::message(format!("connection {name} ended although nobody asked it to")))
            }
            _ => Ok(()),
        }
    }

    async fn resync(&self, market_type: MarketType, symbol: &str) -> bool {
        let mut is_here = false;
        for running in self.running.values() {
            let (reply, answer) = oneshot::channel();
            let command = Command::Resync { market_type, symbol: symbol.to_owned(), reply };
            // One that waits to begin has no book, and answers later.
            let asked =
                async { running.commands.send(command).await.is_ok() && answer.await.unwrap_or(false) };
            is_here |= tokio::time::timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(false);
        }
        is_here
    }
}

/// What was published last, so that the hole since then shows; asked for until the broker answers.
async fn seeds(
    bus: Option<Bus>,
    exchange: &'static str,
    shared: &Shared,
    instruments: &[Instrument],
    data_types: &[DataType],
) -> Vec<Seed> {
    let Some(bus) = bus else { return Vec::new() };
    let mut backoff = Backoff::new(shared.reconnect);
    loop {
        match seeds::read(&bus, instruments, data_types).await {
            Ok(seeds) => return seeds,
            Err(error) => {
                let error = Report::from(error);
                tracing::warn!(exchange, %error, "what was published last cannot be read; trying again");
            }
        }
        tokio::time::sleep(backoff.next_delay(Duration::ZERO)).await;
    }
}

/// Instrument id and symbol of everything planned.
fn symbols(planned: &[Planned]) -> impl Iterator<Item = (&str, &str)> {
    let instruments = planned.iter().flat_map(|planned| &planned.instruments);
    instruments.map(|instrument| (instrument.instrument_id.as_str(), instrument.symbol.as_str()))
}

fn difference(before: &[Planned], after: &[Planned]) -> Change {
    let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (symbols(before).collect(), symbols(after).collect());
    let missing = |from: &BTreeMap<&str, &str>, of: &BTreeMap<&str, &str>| {
        let missing = of.iter().filter(|(instrument_id, _)| !from.contains_key(*instrument_id));
        missing.map(|(_, symbol)| (*symbol).to_owned()).collect()
    };
    Change { added: missing(&before, &after), removed: missing(&after, &before) }
}
