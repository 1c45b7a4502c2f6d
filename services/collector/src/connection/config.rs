//! What a connection is made of, and what it can be told while it runs.

use std::time::Duration;

use marketprism_core::{Instrument, MarketType};
use marketprism_exchanges::{Pressure, Session};
use marketprism_service::{BackoffConfig, CancellationToken};
use tokio::sync::{mpsc, oneshot, watch};

use crate::board::Board;
use crate::metrics::ConnectionMetrics;
use crate::missed::Abandoned;
use crate::queue::{Queue, QueuesConfig};
use crate::rest::Rest;
use crate::snapshots::Snapshots;
use crate::socket::Dialer;
use crate::tap::Tap;

/// Commands waiting for a connection; whoever sends more waits, which is right for an operator's.
pub(crate) const COMMANDS_MAX: usize = 16;

/// What a running connection can be told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The instruments wanted from now on; the others' streams never notice.
    SetInstruments(Vec<Instrument>),
    /// Builds a book anew; answers whether there is one.
    Resync {
        /// Where it trades.
        market_type: MarketType,
        /// Canonical symbol.
        symbol: String,
        /// Whether it is here.
        reply: oneshot::Sender<bool>,
    },
}

/// What all connections of the collector share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// To the publisher.
    pub(crate) queue: Queue,
    pub(crate) queues: QueuesConfig,
    pub(crate) pressure: watch::Receiver<Pressure>,
    pub(crate) board: Board,
    /// Pauses between attempts to connect.
    pub(crate) reconnect: BackoffConfig,
    pub(crate) tap: Tap,
    /// What a connection that ends could not hand over in time.
    pub(crate) abandoned: Abandoned,
    /// Cancelled when the process stops: its grace period then bounds how long is waited.
    pub(crate) shutdown: CancellationToken,
}

/// What one connection is made of.
pub(crate) struct ConnectionConfig {
    /// The integration's id.
    pub(crate) exchange: &'static str,
    /// Name in the plan, logs and metrics.
    pub(crate) name: String,
    /// Below the WebSocket base; `None` where everything is polled.
    pub(crate) path: Option<&'static str>,
    pub(crate) session: Box<dyn Session>,
    /// Sockets kept open at once: 1, or 2 for A/B redundancy.
    pub(crate) redundancy: usize,
    /// How long a socket is used before a successor replaces it; it varies by a tenth.
    pub(crate) life: Option<Duration>,
    pub(crate) dialer: Dialer,
    pub(crate) rest: Rest,
    /// In `snapshot` mode.
    pub(crate) snapshots: Option<Snapshots>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) metrics: ConnectionMetrics,
    pub(crate) shared: Shared,
}
