//! The pipeline at one moment: every part with its state, every hop with its rate and lag. Asked of the parts themselves;
//! a rate of a service that does not answer is null, not the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use marketprism_service::Report;
use marketprism_store::Store;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::Live;
use super::broker::StreamFacts;
use super::cached::Cached;
use super::rates::whole;
use super::source::{Node, NodeState, Seen};

/// A lag that health tells of, too.
const LAG_DEGRADED_SECONDS: f64 = 60.0;
/// A lag nobody waits out.
const LAG_UNHEALTHY_SECONDS: f64 = 600.0;
/// How long an answer of ClickHouse is shown, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The pipeline at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pipeline {
    /// When, by this service's clock, µs UTC.
    time_us: i64,
    pub(crate) nodes: Nodes,
    /// What is collected, by exchange and market.
    exchanges: Vec<Exchange>,
    /// What the broker holds; empty while it does not answer.
    streams: Vec<StreamFacts>,
    collector: CollectorFacts,
    hot: HotFacts,
    cold: ColdFacts,
    hops: Hops,
}

/// The parts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nodes {
    pub(crate) collector: Node,
    pub(crate) broker: Node,
    pub(crate) hot_storage: Node,
    pub(crate) hot_clickhouse: Node,
    pub(crate) cold_storage: Node,
    pub(crate) cold_clickhouse: Node,
}

/// One market of an exchange.
#[derive(Debug, Serialize, ToSchema)]
struct Exchange {
    exchange: String,
    market_type: String,
    /// `live`, `degraded` when some streams are not, else the state of most; `unknown` while the collector does not answer.
    state: String,
    /// Streams by state.
    streams: BTreeMap<String, u64>,
    frames_per_second: Option<f64>,
    /// Exchange's clock to our receipt, 99 of 100.
    latency_p99_seconds: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CollectorFacts {
    streams_live: Option<u64>,
    streams_total: Option<u64>,
    sockets: Option<u64>,
    /// Since it started.
    gaps_total: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct HotFacts {
    /// Since it started.
    rows_total: Option<u64>,
    backlog_messages: Option<u64>,
    /// Until the broker drops what is not stored; null while nothing waits.
    seconds_until_loss: Option<f64>,
    /// Since it started.
    dead_letters_total: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ColdFacts {
    /// Since it started.
    rows_total: Option<u64>,
    backlog_rows: Option<u64>,
    /// Since it started.
    verification_failures_total: Option<u64>,
}

/// The ways between the parts.
#[derive(Debug, Serialize, ToSchema)]
struct Hops {
    /// Exchanges to collector: frames, and how late they come.
    receive: Hop,
    /// Collector to broker: messages, and how long until they are confirmed.
    publish: Hop,
    /// Broker to hot tier: rows, and how long the oldest message has waited.
    store: Hop,
    /// Hot to cold tier: rows, and how long the oldest row has waited.
    replicate: Hop,
}

#[derive(Debug, Serialize, ToSchema)]
struct Hop {
    rate_per_second: Option<f64>,
    lag_seconds: Option<f64>,
    /// By its lag; `unreachable` while whoever measures it does not answer.
    state: NodeState,
}

/// Whether one tier's server answers.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) store: Store,
    ping: Cached<Option<String>>,
}

impl Tier {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store, ping: Cached::new(PING_INTERVAL) }
    }

    async fn node(&self) -> Node {
        let ping = async |_| match timeout(PING_INTERVAL, self.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Report::from(error).to_string()),
            Err(_) => Some(format!("{} does not answer within 2 s", self.store.url())),
        };
        Node::answering(self.ping.get(ping).await)
    }
}

/// Asks every part at once.
pub(crate) async fn look(live: &Live) -> Pipeline {
    let (collector, hot, cold, (broker, streams), hot_clickhouse, cold_clickhouse) = tokio::join!(
        live.collector.look(),
        live.hot_storage.look(),
        live.cold_storage.look(),
        live.broker.look(),
        live.hot.node(),
        live.cold.node(),
    );
    let total =
        |seen: &Seen, name: &str| seen.current().and_then(|metrics| metrics.sum(name, &[])).map(whole);
    let until_loss =
        hot.current().and_then(|metrics| metrics.min("marketprism_storage_seconds_until_loss", &[]));
    let lag = |seen: &Seen, name: &str| seen.current().and_then(|metrics| metrics.max(name, &[]));
    Pipeline {
        time_us: super::now_us(),
        exchanges: exchanges(&collector),
        streams,
        collector: CollectorFacts {
            streams_live: streams_of(&collector, &[("state", "live")]),
            streams_total: streams_of(&collector, &[]),
            sockets: total(&collector, "collector_tcp_connections"),
            gaps_total: total(&collector, "marketprism_collector_gaps_total"),
        },
        hot: HotFacts {
            rows_total: total(&hot, "marketprism_storage_batch_size_total"),
            backlog_messages: total(&hot, "marketprism_storage_backlog_messages"),
            seconds_until_loss: until_loss.filter(|seconds| seconds.is_finite()),
            // Absent until there is one.
            dead_letters_total: hot
                .current()
                .map(|metrics| metrics.sum("marketprism_nats_dead_letters_total", &[]).map_or(0, whole)),
        },
        cold: ColdFacts {
            rows_total: total(&cold, "marketprism_cold_rows_copied_total"),
            backlog_rows: total(&cold, "marketprism_cold_backlog_rows"),
            verification_failures_total: total(&cold, "marketprism_cold_verification_failures_total"),
        },
        hops: Hops {
            receive: hop(
                &collector,
                collector.rate("marketprism_collector_frames_received_total", &[]),
                collector.quantile("marketprism_collector_receive_latency_seconds", &[], 0.99),
            ),
            publish: hop(
                &collector,
                collector.rate("marketprism_nats_messages_acked_total", &[]),
                collector.quantile("marketprism_collector_publish_latency_seconds", &[], 0.99),
            ),
            store: hop(
                &hot,
                hot.rate("marketprism_storage_batch_size_total", &[]),
                lag(&hot, "marketprism_storage_backlog_lag_seconds"),
            ),
            replicate: hop(
                &cold,
                cold.rate("marketprism_cold_rows_copied_total", &[]),
                lag(&cold, "marketprism_cold_replication_lag_seconds"),
            ),
        },
        nodes: Nodes {
            collector: collector.node(),
            broker,
            hot_storage: hot.node(),
            hot_clickhouse,
            cold_storage: cold.node(),
            cold_clickhouse,
        },
    }
}

fn hop(seen: &Seen, rate_per_second: Option<f64>, lag_seconds: Option<f64>) -> Hop {
    let state = match lag_seconds {
        _ if !seen.is_reachable() => NodeState::Unreachable,
        Some(lag) if lag > LAG_UNHEALTHY_SECONDS => NodeState::Unhealthy,
        Some(lag) if lag > LAG_DEGRADED_SECONDS => NodeState::Degraded,
        _ => NodeState::Healthy,
    };
    Hop { rate_per_second, lag_seconds, state }
}

fn streams_of(collector: &Seen, labels: &[(&str, &str)]) -> Option<u64> {
    collector.current().and_then(|metrics| metrics.sum("marketprism_collector_streams", labels)).map(whole)
}

/// The markets the collector last spoke of.
fn exchanges(collector: &Seen) -> Vec<Exchange> {
    let Some(metrics) = collector.metrics() else { return Vec::new() };
    let label = |labels: &BTreeMap<String, String>, name| labels.get(name).cloned().unwrap_or_default();
    let streams: Vec<_> = metrics.of("marketprism_collector_streams", &[]).collect();
    let places: BTreeSet<_> = streams
        .iter()
        .map(|sample| (label(&sample.labels, "exchange"), label(&sample.labels, "market_type")))
        .collect();
    let of_place = |(exchange, market_type): (String, String)| {
        let here = [("exchange", exchange.as_str()), ("market_type", market_type.as_str())];
        let mut states = BTreeMap::new();
        // A stream of liquidations that waits for the first one is as it should be: there may be none for hours.
        let mut well = 0;
        for sample in metrics.of("marketprism_collector_streams", &here) {
            let (state, count) = (label(&sample.labels, "state"), whole(sample.value));
            let is_quiet = state == "waiting" && label(&sample.labels, "data_type") == "liquidation";
            if state == "live" || is_quiet {
                well += count;
            }
            *states.entry(state).or_default() += count;
        }
        Exchange {
            state: state_of(&states, well, collector.is_reachable()),
            frames_per_second: collector.rate("marketprism_collector_frames_received_total", &here),
            latency_p99_seconds: collector.quantile(
                "marketprism_collector_receive_latency_seconds",
                &here,
                0.99,
            ),
            streams: states,
            exchange,
            market_type,
        }
    };
    places.into_iter().map(of_place).collect()
}

fn state_of(states: &BTreeMap<String, u64>, well: u64, is_reachable: bool) -> String {
    let total: u64 = states.values().sum();
    let most = states.iter().max_by_key(|(_, count)| **count).map(|(state, _)| state.as_str());
    let state = match most {
        _ if !is_reachable => "unknown",
        _ if well == total => "live",
        Some(most) if well == 0 => most,
        _ => "degraded",
    };
    state.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_is_live_when_all_of_it_is_and_unknown_when_nobody_says() {
        let states = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
            counts.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
        };
        assert_eq!(state_of(&states(&[("live", 3), ("stale", 0)]), 3, true), "live");
        assert_eq!(state_of(&states(&[("live", 3), ("waiting", 1)]), 4, true), "live", "a quiet one");
        assert_eq!(state_of(&states(&[("live", 3), ("stale", 1)]), 3, true), "degraded");
        assert_eq!(state_of(&states(&[("disconnected", 3), ("stale", 1)]), 0, true), "disconnected");
        assert_eq!(state_of(&states(&[("live", 3)]), 3, false), "unknown");
    }
}
