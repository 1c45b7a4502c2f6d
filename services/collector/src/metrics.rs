//! Every metric of the collector. Handles are made once per connection, never looked up per message.

use marketprism_core::DataType;
use marketprism_exchanges::registry::Integration;
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// Why frames are rejected: the closed set of `Rejected::reason`.
const REJECT_REASONS: [&str; 5] =
    ["not_json", "unknown_event", "invalid_field", "unknown_symbol", "unexpected"];

/// One connection to an exchange.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct SocketMetrics {
    /// Connections made.
    pub(crate) connects_total: Counter,
    /// Attempts to connect that failed.
    pub(crate) connect_failures_total: Counter,
    /// Connections lost or replaced.
    pub(crate) disconnects_total: Counter,
    /// Frames received from the exchange.
    pub(crate) frames_received_total: Counter,
    /// Bytes of those frames.
    pub(crate) frame_bytes_received_total: Counter,
    /// Frames that carry nothing to store by design.
    pub(crate) frames_ignored_total: Counter,
    /// Updates applied to verified order books.
    pub(crate) orderbook_updates_total: Counter,
    /// Order books thrown away and built again.
    pub(crate) orderbook_resyncs_total: Counter,
    /// Trades seen again and dropped.
    pub(crate) trade_duplicates_total: Counter,
    /// Trades fetched from REST to fill a hole.
    pub(crate) trades_backfilled_total: Counter,
    /// Gaps declared.
    pub(crate) gaps_total: Counter,
    /// Messages that wait because the queue to the publisher is full.
    pub(crate) overflow_messages: Gauge,
    /// Messages given up because the overflow was full too; each is covered by a gap.
    pub(crate) messages_shed_total: Counter,
}

/// How long messages of one data type are on their way.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct LatencyMetrics {
    /// Seconds from the exchange's time of an event to its receipt, by the two clocks.
    pub(crate) receive_latency_seconds: Histogram,
    /// Seconds from the receipt of a frame until its message is handed to the publisher.
    pub(crate) publish_handover_seconds: Histogram,
    /// Seconds from the receipt of a frame until the broker has confirmed its message.
    pub(crate) publish_latency_seconds: Histogram,
}

/// Frames rejected for one `reason`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
struct RejectMetrics {
    /// Frames that could not be used, by reason.
    frames_rejected_total: Counter,
}

/// Messages of one data type.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
struct EmitMetrics {
    /// Messages handed to the publisher, by exchange, market type and data type.
    messages_published_labeled_total: Counter,
}

/// The queue between sockets and publisher.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct PublishMetrics {
    /// Messages waiting for the publisher.
    #[metric(rename = "publish_queue_messages")]
    pub(crate) queue_messages: Gauge,
    /// Messages that can never be sent: too large, or a subject NATS does not take.
    #[metric(rename = "publish_refused_total")]
    pub(crate) refused_total: Counter,
}

/// REST requests of one exchange.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct RestMetrics {
    /// REST requests answered with a body.
    pub(crate) rest_requests_total: Counter,
    /// REST requests that brought no body.
    pub(crate) rest_failures_total: Counter,
    /// Times the exchange said that we ask too often.
    pub(crate) rest_limited_total: Counter,
    /// Times the exchange said that this address is banned.
    pub(crate) rest_banned_total: Counter,
    /// Times the exchange refused this address for good (451, 403).
    pub(crate) rest_refused_total: Counter,
    /// Request weight the exchange says was used in the current minute.
    pub(crate) rest_used_weight: Gauge,
    /// How far our clock is ahead of the exchange's, by the `Date` of its last REST answer; whole seconds.
    pub(crate) clock_skew_seconds: Gauge,
}

/// Requests of order books in `snapshot` mode that came to the same `status`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_snapshot")]
pub(crate) struct SnapshotStatusMetrics {
    /// Order books asked for in `snapshot` mode, by status: success, error, timeout or cancelled.
    pub(crate) requests_total: Counter,
}

/// Order books in `snapshot` mode of one exchange's market.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_snapshot")]
pub(crate) struct SnapshotMetrics {
    /// Seconds until a snapshot's request was answered or given up, the wait for the exchange's budget included.
    pub(crate) request_duration_seconds: Histogram,
    /// Requests of snapshots that were not answered in time.
    pub(crate) timeouts_total: Counter,
    /// Requests of snapshots whose connection could not be made or broke; the next one makes another.
    pub(crate) reconnections_total: Counter,
}

/// What the collector does without.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct PressureMetrics {
    /// 0 nothing, 1 books are published more rarely, 2 polled ratios pause besides, 3 books are held back besides.
    pub(crate) pressure_level: Gauge,
    /// Tasks that are alive in this process.
    pub(crate) tasks: Gauge,
}

/// One `resource`: memory, descriptors, publish_queue or publish_lag.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct ResourceMetrics {
    /// Percent of the resource's limit that is used.
    pub(crate) pressure_percent: Gauge,
}

/// The sockets of one connection.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_websocket")]
pub(crate) struct WebsocketMetrics {
    /// 1 while a socket of the connection is open.
    pub(crate) connected: Gauge,
    /// Sockets opened after the first ones: after a loss, or as a successor.
    pub(crate) reconnections_total: Counter,
}

/// What the process holds.
#[derive(Metrics, Clone)]
#[metrics(scope = "collector")]
pub(crate) struct ResourcesMetrics {
    /// TCP sockets of the process: to exchanges, to the broker, and those that serve health and metrics.
    pub(crate) tcp_connections: Gauge,
    /// Open file descriptors of the process.
    pub(crate) file_descriptors: Gauge,
    /// Order books kept.
    pub(crate) orderbook_objects: Gauge,
}

/// One exchange's market.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism")]
pub(crate) struct MarketMetrics {
    /// Symbols collected.
    pub(crate) active_symbols_count: Gauge,
    /// 1 while every order book is valid.
    pub(crate) orderbook_sync_status: Gauge,
}

/// One data type of an exchange's market.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct FreshnessMetrics {
    /// When the youngest of the streams last brought something, seconds since 1970.
    pub(crate) last_success_timestamp_seconds: Gauge,
}

/// Streams of one exchange and data type, by `state`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct StateMetrics {
    /// Streams in a state: disconnected, live, waiting, syncing or stale.
    pub(crate) streams: Gauge,
}

/// One stream, of the first `metrics.streams_max`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(crate) struct StreamMetrics {
    /// Events of the stream a minute, over the last ten seconds.
    pub(crate) stream_events_per_minute: Gauge,
    /// When the stream's last event happened, by the exchange's clock, seconds since 1970.
    pub(crate) stream_last_event_timestamp_seconds: Gauge,
}

/// Where something is measured: every metric of an exchange has these labels first.
pub(crate) fn place(integration: &Integration) -> [(&'static str, String); 2] {
    let market_type = integration.market_types.first().map_or("", |market_type| market_type.as_str());
    [("exchange", integration.exchange.to_owned()), ("market_type", market_type.to_owned())]
}

/// The handles of one connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionMetrics {
    pub(crate) socket: SocketMetrics,
    pub(crate) websocket: WebsocketMetrics,
    emitted: Vec<(DataType, EmitMetrics, LatencyMetrics)>,
    rejected: Vec<(&'static str, RejectMetrics)>,
}

impl ConnectionMetrics {
    pub(crate) fn new(integration: &Integration, connection: &str) -> Self {
        let place = place(integration);
        let with = |name, value: &str| [place.as_slice(), &[(name, value.to_owned())]].concat();
        let of_connection = with("connection", connection);
        let emitted = DataType::ALL.iter().map(|data_type| {
            let labels = with("data_type", data_type.as_str());
            (*data_type, EmitMetrics::new_with_labels(&labels), LatencyMetrics::new_with_labels(&labels))
        });
        let rejected = REJECT_REASONS
            .iter()
            .map(|reason| (*reason, RejectMetrics::new_with_labels(&with("reason", reason))));
        Self {
            socket: SocketMetrics::new_with_labels(&of_connection),
            websocket: WebsocketMetrics::new_with_labels(&of_connection),
            emitted: emitted.collect(),
            rejected: rejected.collect(),
        }
    }

    pub(crate) fn emitted(&self, data_type: DataType) {
        if let Some((_, handle, _)) = self.emitted.iter().find(|(known, ..)| *known == data_type) {
            handle.messages_published_labeled_total.increment(1);
        }
    }

    /// `None` for no data type.
    pub(crate) fn latency(&self, data_type: DataType) -> Option<&LatencyMetrics> {
        self.emitted.iter().find(|(known, ..)| *known == data_type).map(|(_, _, latency)| latency)
    }

    pub(crate) fn rejected(&self, reason: &str) {
        let known = self.rejected.iter().find(|(known, _)| *known == reason).or(self.rejected.last());
        if let Some((_, handle)) = known {
            handle.frames_rejected_total.increment(1);
        }
    }
}
