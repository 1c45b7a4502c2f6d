//! The broker: what it says of itself, and what its clients see of it. `gnatsd_*` come from the monitoring service, which asks
//! the broker's own monitoring port.

use super::model::{Dashboard, Panel, Row};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "marketprism-nats",
        title: "NATS",
        description: "The broker as it sees itself, and as its clients see it.",
        variables: Vec::new(),
        rows: vec![server(), streams(), clients()],
    }
}

fn server() -> Row {
    let rate = |metric: &str| format!("rate(gnatsd_varz_{metric}[1m])");
    Row {
        title: "Server",
        panels: vec![
            Panel::stat("Connections", "none", "max(gnatsd_varz_connections)")
                .colours("red", &[("green", 2.0)]),
            Panel::stat("Subscriptions", "none", "max(gnatsd_varz_subscriptions)"),
            Panel::stat("JetStream storage", "bytes", "max(gnatsd_varz_jetstream_stats_storage)"),
            Panel::stat("Memory", "bytes", "max(gnatsd_varz_mem)"),
            Panel::stat("CPU", "percent", "max(gnatsd_varz_cpu)"),
            Panel::stat("Slow consumers", "none", "max(gnatsd_varz_slow_consumers)")
                .colours("green", &[("red", 1.0)]),
            Panel::lines("Messages", "cps", &rate("in_msgs"), "in").query(&rate("out_msgs"), "out"),
            Panel::lines("Bytes", "Bps", &rate("in_bytes"), "in").query(&rate("out_bytes"), "out"),
            Panel::lines("Memory", "bytes", "gnatsd_varz_mem", "resident"),
        ],
    }
}

fn streams() -> Row {
    Row {
        title: "Streams",
        panels: vec![
            Panel::lines("Messages", "none", "marketprism_broker_stream_messages", "{{stream}}"),
            Panel::lines("Bytes", "bytes", "marketprism_broker_stream_bytes", "{{stream}}"),
            Panel::lines(
                "Of the limit",
                "percentunit",
                "marketprism_broker_stream_bytes / (marketprism_broker_stream_bytes_max > 0)",
                "{{stream}}",
            ),
            Panel::lines("Waiting in consumers", "none", "marketprism_nats_consumer_pending", "{{consumer}}"),
            Panel::lines(
                "Dead letters",
                "none",
                "max(marketprism_broker_stream_messages{stream=\"DEAD_LETTER\"}) or vector(0)",
                "dead letters",
            ),
        ],
    }
}

fn clients() -> Row {
    let quantile = |share: &str| {
        format!(
            "histogram_quantile({share}, sum by (le) (rate(marketprism_nats_publish_duration_seconds_bucket[5m])))"
        )
    };
    Row {
        title: "Clients",
        panels: vec![
            Panel::lines("Connected", "none", "marketprism_nats_connected", "{{job}}"),
            Panel::lines(
                "Published and confirmed",
                "cps",
                "sum by (job) (rate(marketprism_nats_messages_published_total[1m]))",
                "published {{job}}",
            )
            .query("sum by (job) (rate(marketprism_nats_messages_acked_total[1m]))", "confirmed {{job}}"),
            Panel::lines("Until confirmed", "s", &quantile("0.99"), "p99").query(&quantile("0.5"), "p50"),
            Panel::lines("Sent again", "cps", "rate(marketprism_nats_publish_retries_total[5m])", "{{job}}"),
            Panel::lines(
                "Refused",
                "cps",
                "sum by (error_type) (rate(marketprism_nats_publish_errors_total[5m]))",
                "{{error_type}}",
            ),
            Panel::lines("In flight", "none", "marketprism_nats_publish_in_flight", "{{job}}"),
            Panel::lines("Reconnects", "none", "increase(marketprism_nats_reconnects_total[1h])", "{{job}}"),
            Panel::lines(
                "Delivered again",
                "cps",
                "sum by (stream) (rate(marketprism_nats_messages_redelivered_total[5m]))",
                "{{stream}}",
            ),
        ],
    }
}
