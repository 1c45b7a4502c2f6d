//! The wiring: a fleet of exchanges → bounded queue → publisher; around it orders, pressure, and what is said of it all.

use marketprism_bus::{Bus, topology};
use marketprism_core::topology::{MARKET_DATA, ORDERBOOK_SNAP};
use marketprism_exchanges::Pressure;
use marketprism_service::{Context, Report, Service};
use tokio::sync::{mpsc, watch};

use crate::board::{self, Board, Gauges};
use crate::config::Config;
use crate::connection::Shared;
use crate::control;
use crate::fleet::Fleet;
use crate::missed::Abandoned;
use crate::pressure::Gauge;
use crate::publish::{self, PublishLag};
use crate::queue;
use crate::tap::Tap;
use crate::{Arguments, Command};

/// Connects to the broker and starts every task.
pub(crate) async fn start(mut config: Config, arguments: Arguments, service: Service) -> Result<(), Report> {
    // From here on SIGHUP waits for the fleet instead of ending the process.
    let reloads = service.reloads()?;
    crate::install_tls();
    let tap = match &arguments.command {
        Some(Command::Record(record)) => {
            record.restrict(&mut config)?;
            record.beside(&service)?
        }
        Some(Command::Replay(_)) | None => Tap::default(),
    };
    let bus = Bus::connect_within(&config.nats, "marketprism-collector", config.wait.get())
        .await
        .context("failed to connect to NATS")?;
    topology::verify(&bus, &[MARKET_DATA, ORDERBOOK_SNAP]).await.context("the streams are not ready")?;

    let (queue, messages) = queue::queue(&config.queues);
    let lag = PublishLag::default();
    let gauge = Gauge::new(config.pressure, queue.fill(), lag.clone())?;
    let gauges = Gauges::new(config.metrics.streams_max)?;
    let (levels, pressure) = watch::channel(Pressure::None);
    let board = Board::default();
    let abandoned = Abandoned::default();
    // Moves into the fleet: the queue closes when the last exchange has dropped its end.
    let shared = Shared {
        queue,
        queues: config.queues,
        pressure,
        board: board.clone(),
        reconnect: config.reconnect,
        tap,
        abandoned: abandoned.clone(),
        shutdown: service.shutdown_token(),
    };
    let publisher = bus.publisher(config.publisher.clone());
    let check = service.health().check("publisher");
    service.stage("publisher", publish::run(messages, publisher, lag, abandoned, check, bus.clone()));
    let (orders, asked) = mpsc::channel(control::ORDERS_MAX);
    if config.control.enabled {
        let (bus, subject) = (bus.clone(), config.control.subject.clone());
        service.source("control", move |stop| control::listen(bus, subject, orders, stop));
    }
    let health = service.health();
    service.source("pressure", move |stop| gauge.watch(levels, health, stop));
    let page = board.clone();
    service.page("/status", move |query| board::page(&page, query));
    let (health, reporting) = (service.health(), bus.clone());
    service.source("board", move |stop| board::report(board, reporting, health, gauges, stop));
    let fleet = Fleet::new(config, service.config_source(), bus, shared, service.health());
    service.source("exchanges", move |stop| fleet.run(reloads, asked, stop));
    Ok(())
}
