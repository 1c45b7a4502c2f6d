//! What the collector holds and how it fares: the one to look at when it grows or is slow.

use super::model::{Dashboard, Panel, Row};
use super::unified::{EXCHANGE, MARKET_TYPE};

const PLACE: &str = r#"exchange=~"$exchange",market_type=~"$market_type""#;
const BY_PLACE: &str = "{{exchange}} {{market_type}}";

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "marketprism-collector",
        title: "Collector Resource Monitoring",
        description: "Memory, sockets, descriptors, books, latencies and the exchanges' limits.",
        variables: vec![EXCHANGE, MARKET_TYPE],
        rows: vec![resources(), streams(), connections(), rest(), snapshots()],
    }
}

fn by_place(metric: &str, window: &str) -> String {
    format!("sum by (exchange, market_type) (rate({metric}{{{PLACE}}}[{window}]))")
}

fn resources() -> Row {
    Row {
        title: "Resources",
        panels: vec![
            Panel::lines("Memory", "bytes", "process_resident_memory_bytes{job=\"collector\"}", "resident")
                .query("process_virtual_memory_bytes{job=\"collector\"}", "virtual"),
            Panel::lines(
                "Memory: slope over 6 h",
                "Bps",
                "deriv(process_resident_memory_bytes{job=\"collector\"}[6h])",
                "{{instance}}",
            )
            .says("Bytes a second. What stays above zero for hours is a leak."),
            Panel::lines(
                "CPU",
                "percentunit",
                "rate(process_cpu_seconds_total{job=\"collector\"}[1m])",
                "of one core",
            ),
            Panel::lines("TCP connections", "none", "collector_tcp_connections", "{{instance}}"),
            Panel::lines("File descriptors", "none", "collector_file_descriptors", "open")
                .query("process_max_fds{job=\"collector\"}", "most"),
            Panel::lines("Order books", "none", "collector_orderbook_objects", "{{instance}}"),
            Panel::lines("Tasks", "none", "marketprism_collector_tasks", "{{instance}}"),
            Panel::lines("Threads", "none", "process_threads{job=\"collector\"}", "{{instance}}"),
            Panel::lines("Pressure", "percent", "marketprism_collector_pressure_percent", "{{resource}}")
                .query("marketprism_collector_pressure_level * 25", "level × 25"),
        ],
    }
}

fn streams() -> Row {
    let latency = |metric: &str| {
        format!(
            "histogram_quantile(0.99, sum by (le, data_type) (rate(marketprism_collector_{metric}_bucket{{{PLACE}}}[5m])))"
        )
    };
    Row {
        title: "Streams",
        panels: vec![
            Panel::lines(
                "Streams by state",
                "none",
                &format!("sum by (state) (marketprism_collector_streams{{{PLACE}}})"),
                "{{state}}",
            ),
            Panel::lines(
                "Frames",
                "cps",
                &by_place("marketprism_collector_frames_received_total", "1m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Frames rejected",
                "cps",
                &format!(
                    "sum by (exchange, market_type, reason) (rate(marketprism_collector_frames_rejected_total{{{PLACE}}}[5m]))"
                ),
                "{{exchange}} {{market_type}} {{reason}}",
            ),
            Panel::lines(
                "Book updates",
                "cps",
                &by_place("marketprism_collector_orderbook_updates_total", "1m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Book resyncs",
                "cps",
                &by_place("marketprism_collector_orderbook_resyncs_total", "5m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Trades fetched again",
                "cps",
                &by_place("marketprism_collector_trades_backfilled_total", "5m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Exchange to receipt, p99",
                "s",
                &latency("receive_latency_seconds"),
                "{{data_type}}",
            )
            .says("By the two clocks."),
            Panel::lines(
                "Receipt to broker's confirmation, p99",
                "s",
                &latency("publish_latency_seconds"),
                "{{data_type}}",
            ),
            Panel::heatmap(
                "Receipt to broker's confirmation",
                "sum by (le) (increase(marketprism_collector_publish_latency_seconds_bucket[1m]))",
            )
            .wide(8),
        ],
    }
}

fn connections() -> Row {
    Row {
        title: "Connections",
        panels: vec![
            Panel::table("Connected", "none", &format!("marketprism_websocket_connected{{{PLACE}}}")).wide(8),
            Panel::lines(
                "Sockets opened again",
                "none",
                &format!("increase(marketprism_websocket_reconnections_total{{{PLACE}}}[1h])"),
                "{{exchange}} {{market_type}} {{connection}}",
            ),
            Panel::lines(
                "Attempts that failed",
                "cps",
                &by_place("marketprism_collector_connect_failures_total", "5m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Bytes received",
                "Bps",
                &by_place("marketprism_collector_frame_bytes_received_total", "1m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Queue to the publisher",
                "none",
                "marketprism_collector_publish_queue_messages",
                "waiting",
            )
            .query("sum(marketprism_collector_overflow_messages)", "overflow"),
            Panel::lines(
                "Messages shed",
                "cps",
                &by_place("marketprism_collector_messages_shed_total", "5m"),
                BY_PLACE,
            )
            .says("Given up because every queue was full; each is covered by a gap."),
        ],
    }
}

fn rest() -> Row {
    Row {
        title: "REST",
        panels: vec![
            Panel::lines(
                "Requests",
                "cps",
                &by_place("marketprism_collector_rest_requests_total", "5m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Failures",
                "cps",
                &by_place("marketprism_collector_rest_failures_total", "5m"),
                BY_PLACE,
            ),
            Panel::lines(
                "Asked too often, banned, refused",
                "none",
                &format!("increase(marketprism_collector_rest_limited_total{{{PLACE}}}[15m])"),
                "limited {{exchange}} {{market_type}}",
            )
            .query(
                &format!("increase(marketprism_collector_rest_banned_total{{{PLACE}}}[15m])"),
                "banned {{exchange}} {{market_type}}",
            )
            .query(
                &format!("increase(marketprism_collector_rest_refused_total{{{PLACE}}}[15m])"),
                "refused {{exchange}} {{market_type}}",
            ),
            Panel::lines(
                "Weight used",
                "none",
                &format!("marketprism_collector_rest_used_weight{{{PLACE}}}"),
                BY_PLACE,
            ),
            Panel::lines(
                "Clock skew",
                "s",
                &format!("marketprism_collector_clock_skew_seconds{{{PLACE}}}"),
                BY_PLACE,
            ),
        ],
    }
}

fn snapshots() -> Row {
    let requests =
        |status: &str| format!("sum(rate(marketprism_snapshot_requests_total{{{PLACE}{status}}}[5m]))");
    let quantile = |share: &str| {
        format!(
            "histogram_quantile({share}, sum by (le) (rate(marketprism_snapshot_request_duration_seconds_bucket{{{PLACE}}}[5m])))"
        )
    };
    Row {
        title: "Order books in snapshot mode",
        panels: vec![
            Panel::lines("Success rate", "percentunit", &format!("{} / {}", requests(",status=\"success\""), requests("")), "success"),
            Panel::lines("Latency", "s", &quantile("0.99"), "p99").query(&quantile("0.95"), "p95").query(&quantile("0.5"), "p50"),
            Panel::lines("Connections lost", "cps", &by_place("marketprism_snapshot_reconnections_total", "10m"), BY_PLACE),
            Panel::lines("Timeouts", "cps", &by_place("marketprism_snapshot_timeouts_total", "5m"), BY_PLACE),
            Panel::lines("Requests", "cps", &by_place("marketprism_snapshot_requests_total", "5m"), BY_PLACE),
            Panel::pie("Status", &format!("sum by (status) (increase(marketprism_snapshot_requests_total{{{PLACE}}}[1h]))"), "{{status}}").wide(8),
            Panel::heatmap("Latency", "sum by (le) (increase(marketprism_snapshot_request_duration_seconds_bucket[1m]))"),
            Panel::table("By market", "cps", &format!("sum by (exchange, market_type, status) (rate(marketprism_snapshot_requests_total{{{PLACE}}}[5m]))")).wide(12),
        ],
    }
}
