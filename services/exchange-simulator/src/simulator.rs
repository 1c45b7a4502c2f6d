//! The simulator as a whole: bound to its port, then run until told to end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use marketprism_service::HostNames;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Catalogue;
use crate::config::{CadenceConfig, SimulatorConfig};
use crate::exchange;
use crate::generator::Generator;
use crate::hub::{Hub, Source};
use crate::instrument::Instrument;
use crate::ledger::Ledger;
use crate::replay::{Replay, ReplayError};
use crate::server::{Sockets, router, site};
use crate::{pace, replay};

/// How long open sockets and requests may take to end at shutdown.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What can go wrong before or while serving.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The port is taken or not ours to take.
    #[error("failed to listen on {address} (key listen)")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The ledger file.
    #[error("failed to open {path} (key ledger)")]
    Ledger {
        /// The file asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The ledger misses lines: what was sent is no longer known.
    #[error("{0}")]
    LedgerIncomplete(String),
    /// The captures.
    #[error("failed to replay")]
    Replay(#[from] ReplayError),
}

/// A simulator that is bound but does not run yet.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    hub: Arc<Hub>,
    rate: u64,
    cadence: CadenceConfig,
    replay: Option<Replay>,
    hosts: HostNames,
}

impl Simulator {
    /// Opens the captures and the ledger and takes the port.
    ///
    /// # Errors
    /// When any of the three fails; the error names the key.
    pub async fn bind(config: &SimulatorConfig) -> Result<Self, SimulatorError> {
        let replay = if config.replay.paths.is_empty() { None } else { Some(Replay::scan(&config.replay)?) };
        let instruments = match &replay {
            Some(replay) => replay.instruments().into_iter().map(|one| (one, true)).collect(),
            None => listed(&config.markets, config.symbols),
        };
        let catalogue = Arc::new(Catalogue::new(instruments));
        let ledger = Ledger::open(Arc::clone(&catalogue), config.ledger.as_deref()).map_err(|source| {
            SimulatorError::Ledger { path: config.ledger.clone().unwrap_or_default(), source }
        })?;
        let source = match &replay {
            Some(replay) => Source::Replay(replay.gate()),
            None => Source::Synthetic {
                generator: Box::new(Generator::new(&catalogue, config.seed)),
                seed: config.seed,
            },
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| SimulatorError::Listen { address: config.listen, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| SimulatorError::Listen { address: config.listen, source })?;
        let hub = Hub::new(
            address.port(),
            catalogue,
            Arc::new(ledger),
            source,
            config.limits.clone(),
            config.history_trades_max,
        );
        Ok(Self {
            listener,
            address,
            hub: Arc::new(hub),
            rate: config.rate,
            cadence: config.cadence.clone(),
            replay,
            hosts: config.admin.hosts.clone(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then closes every connection properly and flushes the ledger.
    ///
    /// # Errors
    /// When the replay fails or the ledger could not be written.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), SimulatorError> {
        let Self { listener, hub, rate, cadence, replay, hosts, .. } = self;
        let sockets = Sockets { shutdown: shutdown.child_token(), ..Sockets::default() };
        let serve = site(hosts).serve(listener, router(Arc::clone(&hub), &sockets), shutdown.clone());
        let events = async {
            let making = async {
                match (&hub.source, replay) {
                    (Source::Synthetic { generator, .. }, _) => {
                        pace::run(&hub, generator, rate, &cadence).await;
                    }
                    (Source::Replay(gate), Some(replay)) => replay::run(&hub, gate, replay).await?,
                    (Source::Replay(_), None) => {}
                }
                // A replay that is through leaves the server up: clients still ask for books and status.
                std::future::pending().await
            };
            tokio::select! {
                made = making => made,
                () = shutdown.cancelled() => Ok::<(), ReplayError>(()),
            }
        };
        tokio::pin!(serve);
        tokio::select! {
            () = &mut serve => {}
            made = events => {
                made?;
                // No more events: let sockets say goodbye, then requests end.
                sockets.tracker.close();
                drop(timeout(END_TIMEOUT, sockets.tracker.wait()).await);
                drop(timeout(END_TIMEOUT, serve).await);
            }
        }
        hub.ledger.flush().map_err(SimulatorError::LedgerIncomplete)
    }
}

/// Every instrument of `markets`, and whether it is listed at the start: the first `symbols` pairs of each, and
/// whatever is not a plain pair. Where a market's own list is shorter, the rest is like its last pair.
fn listed(markets: &[exchange::Market], symbols: usize) -> Vec<(Instrument, bool)> {
    let mut instruments = Vec::new();
    for market in markets {
        let (mut pairs, mut last_pair) = (0, None);
        for instrument in market.instruments() {
            let is_pair = instrument.is_pair();
            if is_pair {
                pairs += 1;
                last_pair = Some(instrument.clone());
            }
            instruments.push((instrument, !is_pair || pairs <= symbols));
        }
        if let Some(model) = last_pair {
            let more = (pairs + 1..=symbols).map(|number| (model.with_base(&format!("SIM{number}")), true));
            instruments.extend(more);
        }
    }
    instruments
}
