//! The connection to the broker: made in the background, because the console must be there before it and without it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use marketprism_bus::{Bus, BusError, NatsConfig, Status};
use marketprism_core::topology;
use marketprism_service::{CancellationToken, Check, Report};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::cached::Cached;
use super::source::{Node, NodeState};

/// Pause between two attempts to connect for the first time; after that the client repairs the connection itself.
const CONNECT_INTERVAL: Duration = Duration::from_secs(2);
/// How long what the broker said is shown.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// It answers within milliseconds; the page must not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The broker. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Broker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: NatsConfig,
    bus: OnceLock<Bus>,
    streams: Cached<Result<Vec<StreamFacts>, String>>,
}

/// What one stream holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StreamFacts {
    /// `MARKET_DATA`
    pub(crate) name: &'static str,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Sequence of the newest message.
    pub(crate) last_sequence: u64,
}

impl Broker {
    pub(crate) fn new(config: NatsConfig) -> Self {
        Self(Arc::new(Shared { config, bus: OnceLock::new(), streams: Cached::new(LOOK_INTERVAL) }))
    }

    /// Connects, and says in health how it is. The console is of use without it, so it is never unhealthy for it.
    pub(crate) async fn keep(self, check: Check, stop: CancellationToken) -> Result<(), Report> {
        check.degraded("not connected yet");
        let bus = loop {
            match Bus::connect(&self.0.config, "marketprism-monitoring").await {
                Ok(bus) => break self.0.bus.get_or_init(|| bus),
                Err(error) => check.degraded(Report::from(error).to_string()),
            }
            if timeout(CONNECT_INTERVAL, stop.cancelled()).await.is_ok() {
                return Ok(());
            }
        };
        let mut status = bus.status();
        loop {
            match *status.borrow_and_update() {
                Status::Connected => check.healthy(),
                Status::Disconnected | Status::Closed => {
                    check.degraded("the connection is lost; reconnecting");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = status.changed() => if changed.is_err() { stop.cancelled().await },
            }
        }
    }

    /// The connection while it stands.
    pub(crate) fn bus(&self) -> Option<&Bus> {
        self.0.bus.get().filter(|bus| *bus.status().borrow() == Status::Connected)
    }

    /// It as a part of the pipeline, and what its streams hold.
    pub(crate) async fn look(&self) -> (Node, Vec<StreamFacts>) {
        let streams = self.0.streams.get(async |_| self.streams().await).await;
        let (state, reasons, streams) = match streams {
            Ok(streams) => (NodeState::Healthy, Vec::new(), streams),
            Err(error) => {
                let state = if self.bus().is_some() { NodeState::Unhealthy } else { NodeState::Unreachable };
                (state, vec![error], Vec::new())
            }
        };
        (Node::plain(state, reasons), streams)
    }

    async fn streams(&self) -> Result<Vec<StreamFacts>, String> {
        let Some(bus) = self.bus() else { return Err(format!("{} does not answer", self.0.config.url)) };
        let read = async {
            let mut streams = Vec::with_capacity(topology::STREAMS.len());
            for spec in topology::STREAMS {
                let state = bus.stream_state(spec.name).await?;
                let (messages, bytes, last_sequence) = (state.messages, state.bytes, state.last_sequence);
                streams.push(StreamFacts { name: spec.name, messages, bytes, last_sequence });
            }
            Ok::<_, BusError>(streams)
        };
        match timeout(PATIENCE, read).await {
            Ok(read) => read.map_err(|error| Report::from(error).to_string()),
            Err(_) => Err(format!("{} does not answer within {} s", self.0.config.url, PATIENCE.as_secs())),
        }
    }
}
