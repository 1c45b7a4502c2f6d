//! Every stream by itself: how much comes, and whether anything comes.

use super::model::{Dashboard, Panel, Row};
use super::unified::{DATA_TYPES, EXCHANGE, MARKET_TYPE};

pub(super) fn dashboard() -> Dashboard {
    let of = |data_type: &str| {
        format!(
            "marketprism_collector_stream_events_per_minute{{data_type=\"{data_type}\",exchange=~\"$exchange\",market_type=~\"$market_type\"}}"
        )
    };
    let tables = |query: &dyn Fn(&str) -> String, unit: &'static str, meaning: &'static str| {
        DATA_TYPES
            .iter()
            .map(|(data_type, title)| Panel::table(title, unit, &query(data_type)).says(meaning))
            .collect()
    };
    let rate = |data_type: &str| format!("sum by (exchange, market_type, symbol) ({}) / 60", of(data_type));
    // Polled and rare data have their own idea of silence: the collector judges each stream by its cadence.
    let success = |data_type: &str| {
        format!(
            "1 - clamp_max(sum by (exchange, market_type) (marketprism_collector_streams{{data_type=\"{data_type}\",state=~\"stale|disconnected|syncing\",exchange=~\"$exchange\",market_type=~\"$market_type\"}}) \
             / sum by (exchange, market_type) (marketprism_collector_streams{{data_type=\"{data_type}\",exchange=~\"$exchange\",market_type=~\"$market_type\"}}), 1)"
        )
    };
    Dashboard {
        uid: "marketprism-business",
        title: "MarketPrism Business Monitoring",
        description: "Every stream: events a second, and which share of the streams brings what it should.",
        variables: vec![EXCHANGE, MARKET_TYPE],
        rows: vec![
            Row {
                title: "Ingest rate",
                panels: tables(&rate, "cps", "Events a second over the last ten seconds."),
            },
            Row {
                title: "Success rate",
                panels: tables(
                    &success,
                    "percentunit",
                    "Share of the streams that are neither stale nor disconnected nor synchronising, each by its own cadence.",
                ),
            },
        ],
    }
}
