//! The figures of `GET /api/v1/metrics`: each is one number for the whole system, found by one expression.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Category {
    /// From the exchanges to the broker.
    Collection,
    /// From the broker to the hot tier.
    Storage,
    /// From the hot tier to the cold one.
    Replication,
    /// Memory, CPU, descriptors of the services.
    Resources,
    /// Whether people hear of what is wrong.
    Alerting,
}

/// One figure.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) category: Category,
    pub(super) unit: &'static str,
    pub(super) description: &'static str,
    /// A single series without labels; none where nothing is known.
    pub(super) query: &'static str,
}

const fn figure(
    category: Category,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    query: &'static str,
) -> Figure {
    Figure { name, category, unit, description, query }
}

/// All of them, in the order they are shown.
pub(super) const FIGURES: [Figure; 19] = {
    use Category::{Alerting, Collection, Replication, Resources, Storage};
    [
        figure(
            Collection,
            "published_messages_per_second",
            "messages/s",
            "Messages that the broker confirmed",
            "sum(rate(marketprism_nats_messages_acked_total{job=\"collector\"}[1m]))",
        ),
        figure(
            Collection,
            "publish_latency_p99_seconds",
            "s",
            "From sending to the broker's confirmation, 99 of 100",
            "histogram_quantile(0.99, sum by (le) (rate(marketprism_nats_publish_duration_seconds_bucket[5m])))",
        ),
        figure(
            Collection,
            "publish_errors_per_second",
            "messages/s",
            "Messages that were given up",
            "sum(rate(marketprism_nats_publish_errors_total{reason!=\"transient\"}[5m]))",
        ),
        figure(
            Collection,
            "websockets_connected",
            "sockets",
            "Connections to the exchanges",
            "sum(marketprism_websocket_connected)",
        ),
        figure(
            Collection,
            "gaps_last_hour",
            "gaps",
            "Gaps that were declared in the last hour",
            "sum(increase(marketprism_collector_gaps_total[1h]))",
        ),
        figure(
            Collection,
            "freshness_seconds",
            "s",
            "Since anything was received, at the last",
            "time() - max(marketprism_collector_last_success_timestamp_seconds)",
        ),
        figure(
            Storage,
            "stored_messages_per_second",
            "messages/s",
            "Messages that are in the hot tier and acknowledged",
            "sum(rate(marketprism_storage_messages_processed_total[1m]))",
        ),
        figure(
            Storage,
            "storage_lag_seconds",
            "s",
            "From publishing to the hot tier, the slowest data type",
            "max(marketprism_storage_lag_seconds)",
        ),
        figure(
            Storage,
            "storage_pending_messages",
            "messages",
            "Messages in the broker that are not stored yet",
            "sum(marketprism_storage_messages_pending)",
        ),
        figure(
            Storage,
            "dead_letters_last_hour",
            "messages",
            "Messages that can never be stored, of the last hour",
            "sum(increase(marketprism_storage_messages_failed_total[1h]))",
        ),
        figure(
            Storage,
            "insert_errors_per_second",
            "inserts/s",
            "Inserts that failed and were tried again",
            "sum(rate(marketprism_storage_clickhouse_insert_errors_total[5m]))",
        ),
        figure(
            Replication,
            "replication_lag_seconds",
            "s",
            "How long the oldest row that is not copied has been there",
            "max(marketprism_cold_replication_lag_seconds)",
        ),
        figure(
            Replication,
            "replication_backlog_rows",
            "rows",
            "Rows that are not copied yet",
            "sum(marketprism_cold_backlog_rows)",
        ),
        figure(
            Replication,
            "replication_rows_per_second",
            "rows/s",
            "Rows copied",
            "sum(rate(marketprism_cold_rows_copied_total[5m]))",
        ),
        figure(
            Replication,
            "unverified_partitions",
            "partitions",
            "Days past the retention that are not proved to be in the cold tier",
            "sum(marketprism_cold_unverified_partitions)",
        ),
        figure(
            Resources,
            "resident_memory_bytes",
            "bytes",
            "Memory of the services together",
            "sum(process_resident_memory_bytes{job=~\"collector|hot-storage|cold-storage|monitoring\"})",
        ),
        figure(
            Resources,
            "cpu_cores",
            "cores",
            "CPU of the services together",
            "sum(rate(process_cpu_seconds_total{job=~\"collector|hot-storage|cold-storage|monitoring\"}[1m]))",
        ),
        figure(
            Resources,
            "open_descriptors",
            "descriptors",
            "Descriptors of the services together",
            "sum(process_open_fds{job=~\"collector|hot-storage|cold-storage|monitoring\"})",
        ),
        figure(
            Alerting,
            "notifications_failed_last_hour",
            "notifications",
            "Alerts that no robot took, of the last hour",
            "sum(increase(marketprism_monitoring_notifications_failed_total[1h]))",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_one_that_a_service_declares() {
        let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
        let reference = std::fs::read_to_string(reference).unwrap();
        for figure in &FIGURES {
            let names = figure.query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in names.filter(|name| name.starts_with("marketprism_")) {
                let declared = name.trim_end_matches("_bucket");
                assert!(reference.contains(&format!("| `{declared}` |")), "{}: {name}", figure.name);
            }
        }
    }
}
