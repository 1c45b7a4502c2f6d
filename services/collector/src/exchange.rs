//! One configured exchange: learns its instruments, plans its connections, owns them until told to stop.

use marketprism_bus::Bus;
use marketprism_core::Instrument;
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::{Integration, SessionConfig};
use marketprism_service::{Backoff, CancellationToken, Context, Report};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::ExchangeConfig;
use crate::connection::{COMMANDS_MAX, Connection, ConnectionConfig, Shared};
use crate::metrics::ConnectionMetrics;
use crate::plan::{Planned, plan};
use crate::proxy::Way;
use crate::rest::Rest;
use crate::seeds;
use crate::socket::Dialer;
use crate::symbols::select;

/// Everything one exchange's task needs.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) integration: &'static Integration,
    pub(crate) config: ExchangeConfig,
    pub(crate) rest: Rest,
    pub(crate) way: Way,
    pub(crate) bus: Bus,
    pub(crate) shared: Shared,
}

impl Exchange {
    /// Runs the exchange until `stop`. What is wrong with it is said in health; the other exchanges run on.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Report> {
        let listed = tokio::select! {
            listed = self.instruments() => listed,
            () = stop.cancelled() => return Ok(()),
        };
        let selected = select(self.integration, &self.config, &listed, &BTreeSet::new());
        if let Some(complaint) = selected.complaint(self.integration.id) {
            tracing::error!(exchange = self.integration.id, complaint, "check the configured symbols");
            self.shared.board.complain(self.integration.id, Some(complaint));
        }
        let instruments = selected.instruments;
        let base = self.config.ws_url.as_deref().unwrap_or(self.integration.ws_url);
        let attempts = self.config.connects_per_minute_max;
        let dialer = Dialer::new(base, self.integration, self.way.clone(), attempts);
        self.shared.board.gates(self.integration.id, vec![self.rest.gate().clone(), dialer.gate().clone()]);
        let mut connections = JoinSet::new();
        for planned in plan(self.integration, &self.config, &instruments, &[]) {
            let connection = self.connection(planned, dialer.clone()).await?;
            connections.spawn(connection.run(stop.clone()));
        }
        if connections.is_empty() {
            // Nothing listed: the complaint stands in health, and there is nothing to do but wait for the operator.
            stop.cancelled().await;
        }
        while let Some(ended) = connections.join_next().await {
            ended.context("a connection's task died")?;
        }
        Ok(())
    }

    async fn connection(&self, planned: Planned, dialer: Dialer) -> Result<Connection, Report> {
        let seeds = seeds::read(&self.bus, &planned.instruments, &planned.data_types)
            .await
            .context("failed to read what was published last")?;
        tracing::info!(
            exchange = self.integration.id,
            connection = planned.name,
            path = planned.path.unwrap_or_default(),
            symbols = planned.instruments.len(),
            data_types = ?planned.data_types,
            "connection planned"
        );
        let session = (self.integration.open)(SessionConfig {
            instruments: planned.instruments,
            data_types: planned.data_types,
            options: self.config.session_options(),
            seeds,
        });
        let (_commander, commands) = mpsc::channel(COMMANDS_MAX);
        Ok(Connection::new(ConnectionConfig {
            exchange: self.integration.id,
            metrics: ConnectionMetrics::new(self.integration, &planned.name),
            name: planned.name,
            path: planned.path,
            session,
            redundancy: usize::from(self.config.redundancy),
            life: self.config.life(self.integration),
            dialer,
            rest: self.rest.clone(),
            commands,
            shared: self.shared.clone(),
        }))
    }

    /// The instrument list; asks until there is one.
    async fn instruments(&self) -> Vec<Instrument> {
        let Integration { id, instruments_requests, .. } = self.integration;
        let [request] = instruments_requests else { return Vec::new() };
        let mut backoff = Backoff::new(self.shared.reconnect);
        loop {
            let body = self.rest.get(request.path, request.weight, request.limit).await;
            let complaint = match body {
                Ok(body) => match (self.integration.instruments)(&body) {
                    Ok(instruments) => {
                        self.shared.board.complain(id, None);
                        return instruments;
                    }
                    Err(error) => format!("{id}: the instrument list cannot be read: {error}"),
                },
                // The gate says what to do, and when it is tried again.
                Err(FetchFailed::Status { status: 429 | 418 | 451 | 403, .. }) => {
                    self.rest.gate().opened().await;
                    continue;
                }
                Err(error) => format!("{id}: no instrument list: {error}"),
            };
            tracing::error!(exchange = id, complaint, "exchange is off; trying again");
            self.shared.board.complain(id, Some(complaint));
            tokio::time::sleep(backoff.next_delay(Duration::ZERO)).await;
        }
    }
}
