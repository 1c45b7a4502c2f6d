//! From the broker into the hot tier, and on into the cold one.

use super::model::{Dashboard, Panel, Row, Variable};

const DATA_TYPE: Variable =
    Variable { name: "data_type", metric: "marketprism_storage_messages_received_total" };
const TABLE: Variable = Variable { name: "table", metric: "marketprism_cold_replication_lag_seconds" };

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "marketprism-storage",
        title: "Storage & Replication",
        description: "What is stored, what waits, what is copied, proved and released.",
        variables: vec![DATA_TYPE, TABLE],
        rows: vec![hot(), doubts(), cold(), release()],
    }
}

fn lane(metric: &str, window: &str) -> String {
    format!("rate(marketprism_storage_{metric}{{data_type=~\"$data_type\"}}[{window}])")
}

fn hot() -> Row {
    let of = "{{data_type}}";
    Row {
        title: "Hot tier",
        panels: vec![
            Panel::lines("Rows stored", "cps", &lane("batch_size_total", "1m"), of),
            Panel::lines("Inserts", "cps", &lane("batch_inserts_total", "1m"), of),
            Panel::lines(
                "Rows an insert",
                "none",
                &format!("{} / ({} > 0)", lane("batch_size_total", "5m"), lane("batch_inserts_total", "5m")),
                of,
            ),
            Panel::lines(
                "Insert, p99",
                "s",
                "histogram_quantile(0.99, sum by (le, data_type) (rate(marketprism_storage_insert_duration_seconds_bucket{data_type=~\"$data_type\"}[5m])))",
                of,
            ),
            Panel::lines(
                "From publishing to the row",
                "s",
                "marketprism_storage_lag_seconds{data_type=~\"$data_type\"}",
                of,
            ),
            Panel::lines(
                "In memory",
                "bytes",
                "marketprism_storage_batch_queue_bytes{data_type=~\"$data_type\"}",
                of,
            ),
            Panel::lines(
                "Waiting in the stream",
                "none",
                "marketprism_storage_backlog_messages",
                "{{stream}}",
            ),
            Panel::lines("Oldest that waits", "s", "marketprism_storage_backlog_lag_seconds", "{{stream}}"),
            Panel::lines(
                "Until the stream drops it",
                "s",
                "marketprism_storage_seconds_until_loss",
                "{{stream}}",
            )
            .says("Endless while nothing waits."),
        ],
    }
}

fn doubts() -> Row {
    let of = "{{data_type}}";
    Row {
        title: "Doubts and losses",
        panels: vec![
            Panel::lines("Failed inserts", "cps", &lane("clickhouse_insert_errors_total", "5m"), of),
            Panel::lines(
                "Delivered again",
                "cps",
                "sum(rate(marketprism_nats_messages_redelivered_total[5m]))",
                "delivered again",
            ),
            Panel::lines(
                "Looked up, and found stored",
                "cps",
                &lane("messages_doubtful_total", "5m"),
                "looked up {{data_type}}",
            )
            .query(&lane("messages_already_stored_total", "5m"), "found {{data_type}}"),
            Panel::lines(
                "Dead letters",
                "none",
                "increase(marketprism_storage_messages_failed_total{data_type=~\"$data_type\"}[1h])",
                of,
            )
            .says("Messages that can never be stored; `hot-storage dead-letters list` shows them."),
            Panel::lines(
                "Lost by the stream before they were stored",
                "none",
                "increase(marketprism_storage_messages_lost_total[1h])",
                "{{stream}}",
            )
            .says("Each is in `stream_losses`."),
            Panel::lines(
                "Instance that writes",
                "none",
                "sum by (instance) (marketprism_storage_pinned)",
                "{{instance}}",
            )
            .says("Lanes that the broker gives to the instance; the others stand by."),
        ],
    }
}

fn cold() -> Row {
    let of = "{{table}}";
    let table = |metric: &str| format!("marketprism_cold_{metric}{{table=~\"$table\"}}");
    Row {
        title: "Cold tier",
        panels: vec![
            Panel::stat("Most lag", "s", "max(marketprism_cold_replication_lag_seconds)")
                .colours("green", &[("yellow", 600.0), ("red", 900.0)]),
            Panel::stat("Rows to copy", "none", "sum(marketprism_cold_backlog_rows)"),
            Panel::stat("Copied a second", "cps", "sum(marketprism_cold_copied_rows_per_second)"),
            Panel::stat("Done in", "s", "max(marketprism_cold_backlog_eta_seconds)")
                .says("Endless while nothing moves."),
            Panel::stat(
                "Ranges that differ",
                "none",
                "sum(increase(marketprism_cold_verification_failures_total[1h]))",
            )
            .colours("green", &[("red", 1.0)]),
            Panel::up("Copying", "max(marketprism_cold_replication_enabled)"),
            Panel::lines("Lag", "s", &table("replication_lag_seconds"), of),
            Panel::lines("Rows copied", "cps", &format!("rate({}[1m])", table("rows_copied_total")), of),
            Panel::lines("Rows to copy", "none", &table("backlog_rows"), of),
            Panel::lines(
                "Ranges entered in the ledger",
                "cps",
                &format!("rate({}[5m])", table("success_windows_total")),
                of,
            ),
            Panel::lines(
                "Ranges that failed",
                "cps",
                &format!("rate({}[5m])", table("failed_windows_total")),
                of,
            ),
            Panel::lines(
                "A range, p99",
                "s",
                "histogram_quantile(0.99, sum by (le, table) (rate(marketprism_cold_range_duration_seconds_bucket{table=~\"$table\"}[15m])))",
                of,
            ),
        ],
    }
}

fn release() -> Row {
    let of = "{{table}}";
    let table = |metric: &str| format!("marketprism_cold_{metric}{{table=~\"$table\"}}");
    Row {
        title: "Release of hot rows",
        panels: vec![
            Panel::lines(
                "Days not proved to be in the cold tier",
                "none",
                &table("unverified_partitions"),
                of,
            )
            .says("Older than the retention; they stay."),
            Panel::lines("Days that wait for another reason", "none", &table("held_partitions"), of),
            Panel::lines(
                "Rows released",
                "none",
                &format!("increase({}[1d])", table("released_rows_total")),
                of,
            ),
        ],
    }
}
