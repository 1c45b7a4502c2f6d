//! The wiring: sources (one per exchange) → bounded queue → publisher, and the reporter of their health.

use marketprism_bus::{Bus, topology};
use marketprism_core::topology::{MARKET_DATA, ORDERBOOK_SNAP};
use marketprism_exchanges::{Pressure, registry};
use marketprism_service::{Context, Report, Service};
use tokio::sync::watch;

use crate::Arguments;
use crate::board::{self, Board};
use crate::config::Config;
use crate::connection::Shared;
use crate::exchange::Exchange;
use crate::pressure::Gauge;
use crate::proxy::Way;
use crate::publish::{self, PublishLag};
use crate::queue;
use crate::rest::{Hosts, Rest};
use crate::tap::Tap;

/// Connects to the broker and starts every task.
pub(crate) async fn start(config: Config, _: Arguments, service: Service) -> Result<(), Report> {
    // Both the exchanges' sockets and REST use this TLS implementation; a second install is refused and harmless.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let bus = Bus::connect_within(&config.nats, "marketprism-collector", config.wait.get())
        .await
        .context("failed to connect to NATS")?;
    topology::verify(&bus, &[MARKET_DATA, ORDERBOOK_SNAP]).await.context("the streams are not ready")?;

    let (queue, messages) = queue::queue(&config.queues);
    let lag = PublishLag::default();
    let gauge = Gauge::new(config.pressure, queue.fill(), lag.clone())?;
    let (levels, pressure) = watch::channel(Pressure::None);
    let board = Board::default();
    let shared = Shared {
        queue,
        queues: config.queues,
        pressure,
        board: board.clone(),
        reconnect: config.reconnect,
        tap: Tap::default(),
    };
    let hosts = Hosts::default();
    for (id, exchange) in config.exchanges.into_iter().filter(|(_, exchange)| exchange.enabled) {
        // Validated: the id is in the registry.
        let Some(integration) = registry::find(&id) else { continue };
        // Named before the first frame: until it flows, what is wanted is unhealthy and not merely unknown.
        for data_type in exchange.data_types(integration) {
            service.health().check(data_type.as_str()).unhealthy("no connection yet");
        }
        let base = exchange.rest_url.as_deref().unwrap_or(integration.rest_url);
        let way = Way::new(exchange.proxy.as_ref().or(config.proxy.as_ref()));
        let exchange = Exchange {
            integration,
            rest: Rest::new(&hosts, base, integration, &way)?,
            config: exchange,
            way,
            bus: bus.clone(),
            shared: shared.clone(),
        };
        service.source(id, move |stop| exchange.run(stop));
    }
    // The queue closes when the last source has dropped its end.
    drop(shared);
    let publisher = bus.publisher(config.publisher);
    service.stage("publisher", publish::run(messages, publisher, lag, bus.clone()));
    let health = service.health();
    service.source("pressure", move |stop| gauge.watch(levels, health, stop));
    let health = service.health();
    service.source("board", move |stop| board::report(board, bus, health, stop));
    Ok(())
}
