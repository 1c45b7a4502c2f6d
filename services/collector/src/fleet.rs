//! The exchanges of this process: started, changed and stopped while it runs, as SIGHUP and orders ask for it. What cannot
//! be applied as a whole is not applied at all.

use std::collections::BTreeMap;

use marketprism_bus::Bus;
use marketprism_core::DataType;
use marketprism_exchanges::registry;
use marketprism_service::{CancellationToken, ConfigSource, Configuration, Context, Health, Reloads, Report};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use crate::config::{Config, ExchangeConfig, Selection};
use crate::connection::Shared;
use crate::control::{Asked, Book, Declined, Request, Symbols};
use crate::exchange::{Change, Exchange, Listed, Order};
use crate::proxy::Way;
use crate::reload::{Step, difference};
use crate::rest::Hosts;
use crate::symbols;

/// Orders waiting for one exchange: the fleet gives one and waits for its answer.
const ORDERS_MAX: usize = 1;

/// What a changed configuration came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Applied {
    started: Vec<String>,
    stopped: Vec<String>,
    restarted: Vec<String>,
    /// Symbols that joined and left running exchanges.
    symbols: BTreeMap<String, Change>,
    /// Sections that only a restart of the process applies.
    needs_restart: Vec<&'static str>,
}

/// Owns the exchanges' tasks.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// What runs.
    config: Config,
    source: ConfigSource,
    bus: Bus,
    hosts: Hosts,
    shared: Shared,
    health: Health,
    members: BTreeMap<String, Member>,
    tasks: JoinSet<(String, Result<(), Report>)>,
}

#[derive(Debug)]
struct Member {
    orders: mpsc::Sender<Order>,
    listed: watch::Receiver<Listed>,
    stop: CancellationToken,
}

impl Fleet {
    pub(crate) fn new(
        config: Config,
        source: ConfigSource,
        bus: Bus,
        shared: Shared,
        health: Health,
    ) -> Self {
        let (hosts, members, tasks) = (Hosts::default(), BTreeMap::new(), JoinSet::new());
        Self { config, source, bus, hosts, shared, health, members, tasks }
    }

    /// Starts every enabled exchange; to be called once.
    ///
    /// # Errors
    /// When an exchange cannot be made, see [`Exchange::new`].
    pub(crate) fn launch(&mut self, stop: &CancellationToken) -> Result<(), Report> {
        let enabled = self.config.exchanges.iter().filter(|(_, exchange)| exchange.enabled);
        let enabled: Vec<_> = enabled.map(|(id, _)| id.clone()).collect();
        enabled.iter().try_for_each(|id| self.start(id, stop))
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// When an exchange's task failed or died.
    pub(crate) async fn run(
        mut self,
        mut reloads: Reloads,
        mut asked: mpsc::Receiver<Asked>,
        stop: CancellationToken,
    ) -> Result<(), Report> {
        self.launch(&stop)?;
        loop {
            tokio::select! {
                // First: an exchange that ended because of it did not end by itself.
                biased;
                () = stop.cancelled() => break,
                () = reloads.next() => match self.reload(&stop).await? {
                    Ok(done) => tracing::info!(%done, "reloaded"),
                    Err(declined) => tracing::error!(%declined, "not reloaded; everything runs on as before"),
                },
                Some(Asked { request, reply }) = asked.recv() => {
                    let answer = self.obey(request, &stop).await?;
                    // Whoever asked may have given up.
                    reply.send(answer).ok();
                }
                Some(ended) = self.tasks.join_next() => judge(ended, None)?,
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            let (id, ended) = ended.context("an exchange's task died")?;
            ended.context(id)?;
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        request: Request,
        stop: &CancellationToken,
    ) -> Result<Result<Value, Declined>, Report> {
        match request {
            Request::Reload => self.reload(stop).await,
            Request::Resync(book) => Ok(self.resync(book).await),
            Request::Subscribe(symbols) => self.change(symbols, subscribe, stop).await,
            Request::Unsubscribe(symbols) => self.change(symbols, unsubscribe, stop).await,
        }
    }

    async fn reload(&mut self, stop: &CancellationToken) -> Result<Result<Value, Declined>, Report> {
        match self.source.load::<Config>() {
            Ok(after) => self.apply(after, stop).await,
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn change(
        &mut self,
        symbols: Symbols,
        edit: fn(&mut ExchangeConfig, &[String]),
        stop: &CancellationToken,
    ) -> Result<Result<Value, Declined>, Report> {
        let mut after = self.config.clone();
        match after.exchanges.get_mut(&symbols.exchange).filter(|exchange| exchange.enabled) {
            Some(exchange) => edit(exchange, &symbols.symbols),
            None => return Ok(Err(self.unknown(symbols.exchange))),
        }
        match after.validate() {
            Ok(()) => self.apply(after, stop).await,
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn resync(&self, book: Book) -> Result<Value, Declined> {
        let Book { exchange, market_type, symbol } = book;
        let Some(member) = self.members.get(&exchange) else { return Err(self.unknown(exchange)) };
        let (reply, answer) = oneshot::channel();
        let order = Order::Resync(market_type, symbol.clone(), reply);
        let sent = member.orders.send(order).await;
        if sent.is_ok() && answer.await.unwrap_or(false) {
            return Ok(
                json!({ "resync": { "exchange": exchange, "market_type": market_type, "symbol": symbol } }),
            );
        }
        Err(Declined::NoBook { exchange, market_type, symbol })
    }

    /// Checks everything, then changes what differs.
    async fn apply(
        &mut self,
        after: Config,
        stop: &CancellationToken,
    ) -> Result<Result<Value, Declined>, Report> {
        let difference = difference(&self.config, &after);
        if let Some(complaint) = difference.steps.keys().find_map(|id| self.newly_unlisted(id, &after)) {
            return Ok(Err(Declined::Unlisted(complaint)));
        }
        // What only a restart applies stays as it runs, so that the next reload names it again.
        self.config.exchanges = after.exchanges;
        self.config.proxy = after.proxy;
        let mut applied = Applied { needs_restart: difference.needs_restart, ..Applied::default() };
        for (id, step) in difference.steps {
            match step {
                Step::Start => {
                    self.start(&id, stop)?;
                    applied.started.push(id);
                }
                Step::Stop => {
                    self.stop(&id).await?;
                    applied.stopped.push(id);
                }
                Step::Restart => {
                    self.stop(&id).await?;
                    self.start(&id, stop)?;
                    applied.restarted.push(id);
                }
                Step::Select => {
                    let change = self.select(&id).await;
                    applied.symbols.insert(id, change);
                }
            }
        }
        self.forget_data_types();
        Ok(Ok(json!(applied)))
    }

    /// What an exchange does not list of what is new in `after`. Unknown until its list was read.
    fn newly_unlisted(&self, id: &str, after: &Config) -> Option<String> {
        let (before, after) = (self.config.exchanges.get(id)?, after.exchanges.get(id)?);
        let integration = registry::find(id)?;
        let listed = self.members.get(id)?.listed.borrow().clone()?;
        let of = |config| symbols::select(integration, config, &listed, &[].into());
        let known = of(before).unlisted;
        let mut new = of(after);
        new.over = 0;
        new.unlisted.retain(|symbol| !known.contains(symbol));
        new.complaint(id)
    }

    fn start(&mut self, id: &str, stop: &CancellationToken) -> Result<(), Report> {
        // Validated: the id is in the registry.
        let (Some(integration), Some(config)) = (registry::find(id), self.config.exchanges.get(id)) else {
            return Ok(());
        };
        // Named before the first frame: until it flows, what is wanted is unhealthy and not merely unknown.
        for data_type in config.data_types(integration) {
            drop(self.health.check(data_type.as_str()));
        }
        let way = Way::new(config.proxy.as_ref().or(self.config.proxy.as_ref()));
        let (bus, shared) = (Some(self.bus.clone()), self.shared.clone());
        let exchange =
            Exchange::new(integration, config.clone(), way, &self.hosts, bus, shared).context(id)?;
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let stop = stop.child_token();
        let member = Member { orders: sender, listed: exchange.listed(), stop: stop.clone() };
        self.members.insert(id.to_owned(), member);
        let id = id.to_owned();
        self.tasks.spawn(async move { (id, exchange.run(orders, stop).await) });
        Ok(())
    }

    /// Returns when everything of it is published.
    async fn stop(&mut self, id: &str) -> Result<(), Report> {
        let Some(member) = self.members.remove(id) else { return Ok(()) };
        member.stop.cancel();
        if let Some(ended) = self.tasks.join_next().await {
            // Whoever else ended did so by itself.
            judge(ended, Some(id))?;
        }
        self.shared.board.forget(id);
        Ok(())
    }

    async fn select(&self, id: &str) -> Change {
        let (Some(member), Some(config)) = (self.members.get(id), self.config.exchanges.get(id)) else {
            return Change::default();
        };
        let (reply, answer) = oneshot::channel();
        // Only fails when its task ended, which `tasks` tells next.
        member.orders.send(Order::Select(Box::new(config.clone()), reply)).await.ok();
        answer.await.unwrap_or_default()
    }

    /// A data type that no exchange is asked for is no longer a part whose health counts.
    fn forget_data_types(&self) {
        let is_wanted = |data_type: &DataType| {
            let mut enabled = self.config.exchanges.iter().filter(|(_, exchange)| exchange.enabled);
            enabled.any(|(id, exchange)| {
                registry::find(id).is_some_and(|found| exchange.data_types(found).contains(data_type))
            })
        };
        for data_type in DataType::ALL.iter().filter(|data_type| !is_wanted(data_type)) {
            self.health.forget(data_type.as_str());
        }
    }

    fn unknown(&self, exchange: String) -> Declined {
        let collected: Vec<_> = self.members.keys().map(String::as_str).collect();
        Declined::UnknownExchange { exchange, collected: collected.join(", ") }
    }
}

type Ended = Result<(String, Result<(), Report>), JoinError>;

/// An exchange that ended is a failure, unless it was `expected` to.
fn judge(ended: Ended, expected: Option<&str>) -> Result<(), Report> {
    let (id, ended) = ended.context("an exchange's task died")?;
    ended.context(&id)?;
    if expected == Some(id.as_str()) {
        return Ok(());
    }
    Err(Report::message(format!("{id} ended although nobody asked it to")))
}

fn subscribe(exchange: &mut ExchangeConfig, symbols: &[String]) {
    exchange.exclude.retain(|excluded| !symbols.contains(excluded));
    if let Selection::Only(named) = &mut exchange.symbols {
        named.extend(symbols.iter().filter(|symbol| !named.contains(symbol)).cloned().collect::<Vec<_>>());
    }
}

/// Excluded besides, because a pattern may name it, too.
fn unsubscribe(exchange: &mut ExchangeConfig, symbols: &[String]) {
    if let Selection::Only(named) = &mut exchange.symbols {
        named.retain(|symbol| !symbols.contains(symbol));
    }
    let new = symbols.iter().filter(|symbol| !exchange.exclude.contains(symbol)).cloned();
    exchange.exclude = exchange.exclude.iter().cloned().chain(new).collect();
}
