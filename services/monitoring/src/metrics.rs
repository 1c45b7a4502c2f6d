//! Every metric of monitoring. Names under `marketprism_monitoring_` are interface: alerts and dashboards use them.

use metrics::{Counter, Gauge};
use metrics_derive::Metrics;

/// One target of the bridge; label `target`. A notification is a group of alerts as Alertmanager sends it, a message is what a robot
/// gets: all notifications that waited for their turn.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_monitoring")]
pub(crate) struct TargetMetrics {
    /// Notifications that Alertmanager posted, those that it posted again included.
    pub(crate) notifications_received_total: Counter,
    /// Notifications that the robot took.
    pub(crate) notifications_delivered_total: Counter,
    /// Notifications that were given up and handed back to Alertmanager with an error.
    pub(crate) notifications_failed_total: Counter,
    /// Bodies that are not Alertmanager's webhook.
    pub(crate) notifications_invalid_total: Counter,
    /// Notifications that wait for their turn.
    pub(crate) notifications_waiting: Gauge,
    /// Messages that the robot took.
    pub(crate) messages_sent_total: Counter,
    /// Messages not sent because Alertmanager had stopped waiting; it sends them again.
    pub(crate) messages_abandoned_total: Counter,
    /// Messages that failed and were tried again.
    pub(crate) send_retries_total: Counter,
    /// When the robot last took a message, unix seconds.
    pub(crate) last_delivery_timestamp_seconds: Gauge,
}

/// What is refused before it is looked at, on both listeners.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_monitoring")]
pub(crate) struct GuardMetrics {
    /// Requests with wrong credentials.
    pub(crate) requests_unauthorized_total: Counter,
    /// Requests beyond what one address may send in a minute.
    pub(crate) requests_limited_total: Counter,
}

/// Whoever is asked; label `upstream`: `prometheus` or `alertmanager`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_monitoring")]
pub(crate) struct UpstreamMetrics {
    /// Whether it was ready when it was last asked.
    pub(crate) upstream_up: Gauge,
    /// Requests to it, those that were tried again included.
    pub(crate) upstream_requests_total: Counter,
    /// Those that failed.
    pub(crate) upstream_failures_total: Counter,
}
