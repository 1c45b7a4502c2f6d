//! The broker's own figures as metrics: what it tells on its monitoring port (`/varz`, `/jsz`), under the names that its usual
//! exporter gives them. Nothing here talks to the broker as a client.

use std::time::Duration;

use marketprism_service::{CancellationToken, Check, Report};
use metrics::Gauge;
use metrics_derive::Metrics;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{MissedTickBehavior, interval};

use crate::http;

/// Three times between two scrapes.
const EVERY: Duration = Duration::from_secs(5);
/// It answers in milliseconds or is in trouble.
const PATIENCE: Duration = Duration::from_secs(3);
/// Ten KiB, and one a stream.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The server.
#[derive(Metrics, Clone)]
#[metrics(scope = "gnatsd_varz")]
struct ServerMetrics {
    /// Clients connected to the broker.
    connections: Gauge,
    /// Subscriptions of all clients.
    subscriptions: Gauge,
    /// Bytes that all streams take on the disk.
    jetstream_stats_storage: Gauge,
    /// Bytes that they may take: `max_file` of its configuration.
    jetstream_config_max_storage: Gauge,
    /// Resident memory of the broker, bytes.
    mem: Gauge,
    /// CPU of the broker, per cent of one core.
    cpu: Gauge,
    /// Clients dropped because they did not read what was sent to them, since its start.
    slow_consumers: Gauge,
    /// Messages from clients, since its start.
    in_msgs: Gauge,
    /// Messages to clients, since its start.
    out_msgs: Gauge,
    /// Bytes from clients, since its start.
    in_bytes: Gauge,
    /// Bytes to clients, since its start.
    out_bytes: Gauge,
}

/// One stream; label `stream`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_broker")]
struct StreamMetrics {
    /// Messages the stream holds.
    stream_messages: Gauge,
    /// Bytes the stream takes.
    stream_bytes: Gauge,
    /// Bytes it may take before the oldest messages go; +Inf where nothing limits it.
    stream_bytes_max: Gauge,
}

/// `{"connections":5,"mem":25165824,"cpu":1.5,"jetstream":{"config":{"max_storage":53687091200},"stats":{"storage":1048576}},…}`
#[derive(Debug, Deserialize)]
struct Varz {
    connections: u64,
    subscriptions: u64,
    mem: u64,
    cpu: f64,
    slow_consumers: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    #[serde(default)]
    config: StorageLimit,
    #[serde(default)]
    stats: Stats,
}

#[derive(Debug, Default, Deserialize)]
struct StorageLimit {
    max_storage: u64,
}

#[derive(Debug, Default, Deserialize)]
struct Stats {
    storage: u64,
}

/// `{"account_details":[{"stream_detail":[{"name":"MARKET_DATA","config":{"max_bytes":-1,…},"state":{"messages":7,…}}]}]}`
#[derive(Debug, Deserialize)]
struct Jsz {
    #[serde(default)]
    account_details: Vec<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    stream_detail: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    name: String,
    config: Limits,
    state: State,
}

#[derive(Debug, Deserialize)]
struct Limits {
    max_bytes: i64,
}

#[derive(Debug, Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
}

/// Asks the broker's monitoring port for ever.
pub(crate) async fn watch(url: String, check: Check, token: CancellationToken) -> Result<(), Report> {
    check.degraded("not asked yet");
    let client = http::inside(PATIENCE)?;
    let metrics = ServerMetrics::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut streams = Vec::new();
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match read(&client, url.trim_end_matches('/')).await {
            Ok((varz, jsz)) => {
                metrics.set(&varz);
                streams = jsz.account_details.into_iter().flat_map(|account| account.stream_detail).collect();
                streams.iter().for_each(Stream::set);
                check.healthy();
            }
            Err(error) => {
                // The last figures would look like those of a broker that is there.
                metrics.unknown();
                streams.iter().for_each(Stream::unknown);
                check.degraded(error.context(format!("failed to read {url}")).to_string());
            }
        }
    }
}

async fn read(client: &reqwest::Client, url: &str) -> Result<(Varz, Jsz), Report> {
    let varz = page(client, &format!("{url}/varz")).await?;
    let jsz = page(client, &format!("{url}/jsz?streams=1&config=1")).await?;
    Ok((varz, jsz))
}

async fn page<T: DeserializeOwned>(client: &reqwest::Client, url: &str) -> Result<T, Report> {
    let (status, body) = http::answer(client.get(url), ANSWER_BYTES_MAX).await?;
    if status.is_success() {
        Ok(serde_json::from_slice(&body)?)
    } else {
        Err(Report::message(format!("{url} answers {status}")))
    }
}

impl ServerMetrics {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; figures above 2^53 may be off by one"
    )]
    fn set(&self, varz: &Varz) {
        self.connections.set(varz.connections as f64);
        self.subscriptions.set(varz.subscriptions as f64);
        self.jetstream_stats_storage.set(varz.jetstream.stats.storage as f64);
        self.jetstream_config_max_storage.set(varz.jetstream.config.max_storage as f64);
        self.mem.set(varz.mem as f64);
        self.cpu.set(varz.cpu);
        self.slow_consumers.set(varz.slow_consumers as f64);
        self.in_msgs.set(varz.in_msgs as f64);
        self.out_msgs.set(varz.out_msgs as f64);
        self.in_bytes.set(varz.in_bytes as f64);
        self.out_bytes.set(varz.out_bytes as f64);
    }

    fn unknown(&self) {
        let gauges = [
            &self.connections,
            &self.subscriptions,
            &self.jetstream_stats_storage,
            &self.jetstream_config_max_storage,
            &self.mem,
            &self.cpu,
            &self.slow_consumers,
            &self.in_msgs,
            &self.out_msgs,
            &self.in_bytes,
            &self.out_bytes,
        ];
        gauges.iter().for_each(|gauge| gauge.set(f64::NAN));
    }
}

impl Stream {
    fn metrics(&self) -> StreamMetrics {
        StreamMetrics::new_with_labels(&[("stream", self.name.clone())])
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; figures above 2^53 may be off by one"
    )]
    fn set(&self) {
        let metrics = self.metrics();
        metrics.stream_messages.set(self.state.messages as f64);
        metrics.stream_bytes.set(self.state.bytes as f64);
        let limit = u64::try_from(self.config.max_bytes).map_or(f64::INFINITY, |bytes| bytes as f64);
        metrics.stream_bytes_max.set(limit);
    }

    fn unknown(&self) {
        let metrics = self.metrics();
        [metrics.stream_messages, metrics.stream_bytes, metrics.stream_bytes_max]
            .iter()
            .for_each(|gauge| gauge.set(f64::NAN));
    }
}
