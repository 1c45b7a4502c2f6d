//! The connection: made once, repaired for ever, watched by metrics, logs and health. Publishes and consumes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, Event, jetstream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{InvalidField, NatsConfig};
use crate::error::BusError;
use crate::metrics::{BrokerMetrics, ConnectionMetrics};

/// Longest pause between two attempts to reconnect. A broker that restarts is back within a second or two, and one
/// connection attempt every two seconds is no load for a broker in trouble.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);

/// State of the connection, for health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The broker is reachable.
    Connected,
    /// The connection is lost; reconnecting goes on for ever.
    Disconnected,
    /// The connection was drained.
    Closed,
}

/// A connection to NATS. Clones share it.
#[derive(Debug, Clone)]
pub struct Bus {
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) request_timeout: Duration,
    status: watch::Receiver<Status>,
}

impl Bus {
    /// Connects, with one attempt per server; from then on the connection is repaired for ever.
    /// `client_name` is what the broker's monitoring shows.
    ///
    /// # Errors
    /// [`BusError::Config`] for a file that cannot be read, [`BusError::Connect`] with the url when nobody answers.
    pub async fn connect(config: &NatsConfig, client_name: &str) -> Result<Self, BusError> {
        config.validate()?;
        let servers = config.servers()?;
        let (observed, mut status) = watch::channel(Status::Disconnected);
        let observer = Observer::new(observed);
        let options = options(config, client_name).await?.event_callback(move |event| {
            observer.see(&event);
            std::future::ready(())
        });
        let client = options.connect(servers).await.map_err(|source| BusError::Connect {
            url: config.url.clone(),
            transient: !matches!(
                source.kind(),
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
            ),
            source: source.into(),
        })?;
        // The event comes through a queue of the client: without waiting for it the first reader would see a
        // connection that is down.
        let told = tokio::time::timeout(
            config.connect_timeout,
            status.wait_for(|status| *status == Status::Connected),
        );
        if !matches!(told.await, Ok(Ok(_))) {
            tracing::warn!(url = config.url, "connected to NATS, and lost it again at once");
        }
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(config.request_timeout);
        Ok(Self { client, jetstream, request_timeout: config.request_timeout, status })
    }

    /// Connects like [`Bus::connect`], trying again until `patience` is over. For services that may be started
    /// before the broker; each failed attempt is logged.
    ///
    /// # Errors
    /// As [`Bus::connect`], after the last attempt; at once when waiting cannot help.
    pub async fn connect_within(
        config: &NatsConfig,
        client_name: &str,
        patience: Duration,
    ) -> Result<Self, BusError> {
        let deadline = Instant::now() + patience;
        loop {
            let error = match Self::connect(config, client_name).await {
                Ok(bus) => return Ok(bus),
                Err(error) => error,
            };
            let left_seconds = deadline.saturating_duration_since(Instant::now()).as_secs();
            if !error.is_transient() || left_seconds == 0 {
                return Err(error);
            }
            tracing::warn!(url = config.url, left_seconds, "NATS does not answer; trying again");
            tokio::time::sleep(RECONNECT_DELAY_MAX.min(Duration::from_secs(1))).await;
        }
    }

    /// The state of the connection, now and as it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Sends what is buffered, ends the subscriptions and closes the connection, within the request timeout.
    ///
    /// # Errors
    /// [`BusError::Request`] when the broker could not be reached for it; the connection is given up all the same.
    pub async fn drain(&self) -> Result<(), BusError> {
        let closed = async {
            self.client.drain().await.map_err(|error| BusError::request("drain the connection", error))?;
            let mut status = self.status();
            // An error means that the client, and with it the sender, is gone: closed as well.
            status.wait_for(|status| *status == Status::Closed).await.map(drop).or(Ok(()))
        };
        tokio::time::timeout(self.request_timeout, closed)
            .await
            .unwrap_or_else(|elapsed| Err(BusError::request("drain the connection", elapsed)))
    }
}

/// Turns the client's events into metrics, logs and the status.
struct Observer {
    status: watch::Sender<Status>,
    was_connected: AtomicBool,
    metrics: ConnectionMetrics,
    broker: BrokerMetrics,
}

impl Observer {
    fn new(status: watch::Sender<Status>) -> Self {
        let observer = Self {
            status,
            was_connected: AtomicBool::new(false),
            metrics: ConnectionMetrics::default(),
            broker: BrokerMetrics::default(),
        };
        observer.is_connected(false);
        observer
    }

    fn is_connected(&self, is_connected: bool) {
        self.metrics.connected.set(u32::from(is_connected));
        self.broker.connected.set(u32::from(is_connected));
    }

    fn see(&self, event: &Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to NATS");
                self.is_connected(true);
                if self.was_connected.swap(true, Ordering::Relaxed) {
                    self.metrics.reconnects_total.increment(1);
                }
                self.status.send_replace(Status::Connected);
            }
            Event::Disconnected => {
                tracing::warn!("connection to NATS lost; reconnecting");
                self.is_connected(false);
                self.metrics.disconnects_total.increment(1);
                self.status.send_replace(Status::Disconnected);
            }
            Event::Closed => {
                self.is_connected(false);
                self.status.send_replace(Status::Closed);
            }
            Event::SlowConsumer(subscription) => {
                tracing::warn!(subscription, "messages dropped: a subscription is read too slowly");
                self.metrics.slow_consumers_total.increment(1);
            }
            Event::ServerError(_) | Event::ClientError(_) => {
                tracing::warn!(%event, "NATS connection error");
                self.metrics.connection_errors_total.increment(1);
            }
            Event::LameDuckMode | Event::Draining => tracing::info!(%event, "NATS connection"),
        }
    }
}

async fn options(config: &NatsConfig, client_name: &str) -> Result<ConnectOptions, BusError> {
    let mut options = ConnectOptions::new()
        .name(client_name)
        .connection_timeout(config.connect_timeout)
        .request_timeout(Some(config.request_timeout))
        .ping_interval(config.ping_interval)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay);
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        options = options.user_and_password(user.clone(), password.reveal());
    }
    if let Some(token) = &config.token {
        options = options.token(token.reveal());
    }
    if let Some(path) = &config.credentials_file {
        options = options.credentials_file(path).await.map_err(|error| {
            InvalidField::new("credentials_file", path.display(), format!("cannot be read: {error}"))
        })?;
    }
    let tls = &config.tls;
    for (field, path) in [
        ("tls.ca_file", &tls.ca_file),
        ("tls.certificate_file", &tls.certificate_file),
        ("tls.key_file", &tls.key_file),
    ] {
        if let Some(path) = path {
            tokio::fs::metadata(path).await.map_err(|error| {
                InvalidField::new(field, path.display(), format!("cannot be read: {error}"))
            })?;
        }
    }
    if tls.required || tls.first {
        options = options.require_tls(true);
    }
    if tls.first {
        options = options.tls_first();
    }
    if let Some(path) = &tls.ca_file {
        options = options.add_root_certificates(path.clone());
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate_file, &tls.key_file) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// 0, 50 ms, 100 ms, … up to [`RECONNECT_DELAY_MAX`].
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(16);
    if attempts < 2 {
        Duration::ZERO
    } else {
        (Duration::from_millis(50) * (1 << doublings)).min(RECONNECT_DELAY_MAX)
    }
}
