//! The one an operator opens first: is everything up, how fast and how late is each hop.

use super::model::{Dashboard, Panel, Row, Variable};

/// What is chosen at the top, as a selector.
const CHOSEN: &str = r#"exchange=~"$exchange",market_type=~"$market_type",data_type=~"$data_type""#;

/// The four that run for ever.
const SERVICES: &str = r#"job=~"collector|hot-storage|cold-storage|monitoring""#;

pub(super) const EXCHANGE: Variable = Variable { name: "exchange", metric: "marketprism_collector_streams" };
pub(super) const MARKET_TYPE: Variable = Variable { name: "market_type", ..EXCHANGE };
const DATA_TYPE: Variable = Variable { name: "data_type", ..EXCHANGE };

pub(super) const DATA_TYPES: [(&str, &str); 8] = [
    ("orderbook", "Order book"),
    ("trade", "Trade"),
    ("funding_rate", "Funding rate"),
    ("open_interest", "Open interest"),
    ("liquidation", "Liquidation"),
    ("volatility_index", "Volatility index"),
    ("lsr_top_position", "LSR top position"),
    ("lsr_all_account", "LSR all account"),
];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "marketprism-unified",
        title: "MarketPrism",
        description: "Is everything up, how fast and how late is each hop from the exchanges to the cold tier.",
        variables: vec![EXCHANGE, MARKET_TYPE, DATA_TYPE],
        rows: vec![overview(), hops(), freshness(), probes(), services()],
    }
}

fn overview() -> Row {
    let ingest = "sum(rate(marketprism_nats_messages_published_total{job=\"collector\"}[1m]))";
    let p95 =
        "histogram_quantile(0.95, sum by (le) (rate(marketprism_nats_publish_duration_seconds_bucket[5m])))";
    let cpu = |job| format!("sum(rate(process_cpu_seconds_total{{job=\"{job}\"}}[1m]))");
    let rss = |job| format!("sum(process_resident_memory_bytes{{job=\"{job}\"}})");
    let state = [
        Panel::up("Collector", "max(up{job=\"collector\"})"),
        Panel::up("Broker", "max(marketprism_broker_connected)"),
        Panel::up("hot-storage", "max(up{job=\"hot-storage\"})"),
        Panel::up("cold-storage", "max(up{job=\"cold-storage\"})"),
        Panel::stat("Ingest rate", "cps", ingest).colours("red", &[("yellow", 1.0), ("green", 100.0)]),
        Panel::stat("Publish latency p95", "s", p95).colours("green", &[("yellow", 0.05), ("red", 0.1)]),
        Panel::stat("JetStream storage", "bytes", "max(gnatsd_varz_jetstream_stats_storage)"),
        Panel::stat("Firing alerts", "none", "count(ALERTS{alertstate=\"firing\"}) or vector(0)")
            .colours("green", &[("red", 1.0)]),
    ];
    let use_of_resources = [
        Panel::stat("Broker's clients", "none", "max(gnatsd_varz_connections)")
            .colours("red", &[("yellow", 1.0), ("green", 4.0)])
            .says("Four services, each with a connection or more."),
        Panel::stat(
            "Cores in use",
            "none",
            &format!("sum(rate(process_cpu_seconds_total{{{SERVICES}}}[1m]))"),
        )
        .says("By the four services together; broker and ClickHouse besides."),
        Panel::stat("hot-storage CPU", "percentunit", &cpu("hot-storage")).says("Of one core."),
        Panel::stat("cold-storage CPU", "percentunit", &cpu("cold-storage")).says("Of one core."),
        Panel::stat("hot-storage memory", "bytes", &rss("hot-storage")),
        Panel::stat("cold-storage memory", "bytes", &rss("cold-storage")),
    ];
    // Eight and six of them in a line.
    let panels = state.map(|panel| panel.wide(3)).into_iter().chain(use_of_resources).collect();
    Row { title: "System overview", panels }
}

fn hops() -> Row {
    let collected = format!("rate(marketprism_nats_messages_published_labeled_total{{{CHOSEN}}}[1m])");
    let stored = "rate(marketprism_storage_messages_processed_total{data_type=~\"$data_type\"}[1m])";
    let whole = "sum by (data_type) (rate(marketprism_nats_messages_published_labeled_total{data_type=~\"$data_type\"}[5m]))";
    Row {
        title: "Data pipeline",
        panels: vec![
            Panel::lines("Collected by exchange", "cps", &format!("sum by (exchange) ({collected})"), "{{exchange}}").wide(12),
            Panel::lines("Collected by data type", "cps", &format!("sum by (data_type) ({collected})"), "{{data_type}}").wide(12),
            Panel::lines("Stored in the hot tier", "cps", &format!("sum by (data_type) ({stored})"), "{{data_type}}"),
            Panel::lines("Copied to the cold tier", "cps", "rate(marketprism_cold_rows_copied_total[1m])", "{{table}}"),
            Panel::lines("Stored of what was collected", "percentunit", &format!(
                "sum by (data_type) (rate(marketprism_storage_messages_processed_total{{data_type=~\"$data_type\"}}[5m])) / ({whole} > 0)"
            ), "{{data_type}}")
            .says("1 while storing keeps up; above it while a backlog is worked off. Whether anything is missing says the integrity check, not a rate."),
            Panel::lines("Waiting for the hot tier", "s", "marketprism_storage_backlog_lag_seconds", "{{stream}}"),
            Panel::lines("Hot tier: lag", "s", "marketprism_storage_lag_seconds", "{{data_type}}"),
            Panel::lines("Cold tier: lag", "s", "marketprism_cold_replication_lag_seconds", "{{table}}"),
            Panel::lines("Can never be stored", "percent", "marketprism_storage_error_rate_percent", "of all messages")
            .wide(12).says("They become dead letters."),
            Panel::lines("Gaps declared", "none", &format!(
                "sum by (exchange, market_type) (increase(marketprism_collector_gaps_total{{{}}}[5m]))",
                r#"exchange=~"$exchange",market_type=~"$market_type""#
            ), "{{exchange}} {{market_type}}")
            .wide(12).says("What an exchange sent and we have not: each is a row in `gaps`."),
        ],
    }
}

fn freshness() -> Row {
    let mut panels = vec![
        Panel::lines(
            "Since the last success",
            "s",
            "time() - max by (exchange, market_type) (marketprism_collector_last_success_timestamp_seconds{exchange=~\"$exchange\"})",
            "{{exchange}} {{market_type}}",
        )
        .wide(12),
        Panel::lines(
            "Since the last row in the hot tier",
            "s",
            "time() - (marketprism_storage_last_message_timestamp_seconds > 0)",
            "{{data_type}}",
        )
        .wide(12),
    ];
    panels.extend(DATA_TYPES.iter().map(|(data_type, title)| {
        let query = format!(
            "time() - max(marketprism_collector_last_success_timestamp_seconds{{data_type=\"{data_type}\",exchange=~\"$exchange\"}})"
        );
        let limits: &[(&'static str, f64)] = match *data_type {
            "orderbook" | "trade" => &[("yellow", 60.0), ("red", 300.0)],
            // They come when somebody is liquidated.
            "liquidation" => &[("yellow", 3_600.0)],
            _ => &[("yellow", 600.0), ("red", 1_800.0)],
        };
        Panel::stat(title, "s", &query).colours("green", limits).wide(3)
    }));
    Row { title: "Freshness", panels }
}

fn probes() -> Row {
    let probe = |title: &str, component: &str| {
        Panel::up(title, &format!("max(probe_success{{component=\"{component}\"}})"))
    };
    Row {
        title: "Health, asked from outside",
        panels: vec![
            probe("collector /health", "collector"),
            probe("hot-storage /health", "hot-storage"),
            probe("cold-storage /health", "cold-storage"),
            probe("ClickHouse hot", "clickhouse-hot"),
            probe("ClickHouse cold", "clickhouse-cold"),
            probe("Broker /healthz", "broker"),
        ],
    }
}

fn services() -> Row {
    Row {
        title: "Services",
        panels: vec![
            Panel::lines(
                "Memory",
                "bytes",
                &format!("process_resident_memory_bytes{{{SERVICES}}}"),
                "{{job}}",
            ),
            Panel::lines(
                "CPU",
                "percentunit",
                &format!("sum by (job) (rate(process_cpu_seconds_total{{{SERVICES}}}[1m]))"),
                "{{job}}",
            ),
            Panel::lines("File descriptors", "none", &format!("process_open_fds{{{SERVICES}}}"), "{{job}}"),
            Panel::lines(
                "Uptime",
                "s",
                &format!("time() - process_start_time_seconds{{{SERVICES}}}"),
                "{{job}}",
            )
            .wide(12),
            Panel::table("Versions", "none", "max by (service, version) (marketprism_build_info)").wide(12),
        ],
    }
}
