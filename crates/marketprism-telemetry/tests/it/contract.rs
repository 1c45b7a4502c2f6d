//! Every name that people or rules rely on exists in the running pipeline, with the labels used, and no service tells more than
//! its budget allows.

use std::collections::BTreeSet;
use std::time::Duration;

use marketprism_telemetry::dashboards::{Dashboard, dashboards};
use marketprism_telemetry::documents::{SeriesBudget, declared_metrics, runbook_selectors, series_budgets};
use marketprism_telemetry::root;
use marketprism_telemetry::rules::rules;
use marketprism_telemetry::selectors::selectors;
use marketprism_telemetry::watched::{Plan, Watched};
use serde_json::json;

/// What is there only after something happened, or with a configuration that this pipeline has not, and why.
const ONLY_THEN: &[(&str, &str)] = &[
    ("ALERTS{", "while something fires"),
    ("marketprism_collector_recorded_", "while the collector records (`--record`)"),
    ("probe_ssl_earliest_cert_expiry", "where a probe reached a server that speaks TLS: tests reach none"),
];

/// What every process tells of itself.
const OF_PROCESSES: &[&str] = &[
    "resident_memory_bytes",
    "virtual_memory_bytes",
    "cpu_seconds_total",
    "open_fds",
    "max_fds",
    "threads",
    "start_time_seconds",
];

/// Started pipelines have been scraped, polled and copied once by then.
const PATIENCE: Duration = marketprism_testkit::DEADLINE;

#[tokio::test(flavor = "multi_thread")]
async fn every_name_exists_in_the_running_pipeline() {
    let polled = json!({ "exchanges": { "okx_spot": { "orderbook": { "mode": "snapshot" } } } });
    let watched = Watched::start(Plan {
        symbols: 4,
        rate: 300,
        overrides: vec![("collector", polled)],
        hurry: 1,
        rewritten: Vec::new(),
        monitoring: json!({}),
    })
    .await;
    let asked = asked();
    println!("{} names of rules, dashboards, reference and runbook", asked.len());
    assert!(asked.len() > 100, "{asked:?}");
    watched.have_numbers(PATIENCE, asked).await;
    let shown: Vec<_> = dashboards().iter().flat_map(Dashboard::queries).collect();
    println!("{} queries of {} dashboards", shown.len(), dashboards().len());
    watched.have_numbers(PATIENCE, shown).await;
    within_budget(&watched).await;
}

/// Everything that has to be there: who says so, and an expression that has a number when it is.
fn asked() -> Vec<(String, String)> {
    let mut asked = BTreeSet::new();
    for rule in rules() {
        asked.extend(
            selectors(&rule.expr).into_iter().map(|selector| (selector, format!("rule {}", rule.name))),
        );
        if !rule.is_alert {
            asked.insert((format!("{}{{}}", rule.name), "recorded".to_owned()));
        }
    }
    for (asker, expr) in dashboards().iter().flat_map(Dashboard::queries) {
        asked.extend(selectors(&expr).into_iter().map(|selector| (selector, asker.clone())));
    }
    for (name, kind) in declared_metrics() {
        // A histogram has buckets, or quantiles of several processes could not be made of it.
        let selector =
            if kind == "histogram" { format!("{name}_bucket{{le=\"+Inf\"}}") } else { format!("{name}{{}}") };
        asked.insert((selector, "the reference".to_owned()));
    }
    let histograms: BTreeSet<_> = declared_metrics()
        .into_iter()
        .filter(|(_, kind)| kind == "histogram")
        .map(|(name, _)| name)
        .collect();
    for selector in runbook_selectors() {
        let name = selector.split('{').next().unwrap();
        let selector = if histograms.contains(name) { selector.replace('{', "_bucket{") } else { selector };
        asked.insert((selector, "the runbook".to_owned()));
    }
    for SeriesBudget { job, .. } in series_budgets() {
        let told = OF_PROCESSES.iter().map(|name| format!("process_{name}{{job=\"{job}\"}}"));
        asked.extend(told.map(|selector| (selector, "every service".to_owned())));
    }
    asked.retain(|(selector, _)| !ONLY_THEN.iter().any(|(name, _)| selector.starts_with(name)));
    asked.into_iter().map(|(selector, asker)| (asker, format!("count({selector})"))).collect()
}

/// Connections of the collector that its budget has room for: a thousand symbols of each market take fewer.
const CONNECTIONS: u64 = 100;

/// What grows is counted as if it had grown: with so many connections, and as many streams as the collector tells one by one.
async fn within_budget(watched: &Watched) {
    let config = std::fs::read_to_string(root().join("config/collector.yaml")).unwrap();
    let streams = config.split("streams_max: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let streams: u64 = streams.parse().unwrap();
    let count = async |expr: String| {
        let answer = watched.query(&format!("count({expr}) or vector(0)")).await;
        answer[0]["value"][1].as_str().unwrap().parse::<u64>().unwrap()
    };
    let budgets = series_budgets();
    assert_eq!(budgets.len(), 4, "{budgets:?}");
    for SeriesBudget { job, series_max } in budgets {
        let of = |label: &str| format!("{{job=\"{job}\", {label}!=\"\"}}");
        let each = async |label: &str, by: &str| {
            let all = count(of(label)).await;
            (all, all.div_ceil(count(format!("count by ({by}) ({})", of(label))).await.max(1)))
        };
        let (of_streams, a_stream) = each("symbol", "exchange, market_type, symbol, data_type").await;
        let (of_connections, a_connection) = each("connection", "exchange, market_type, connection").await;
        let fixed = count(format!("{{job=\"{job}\"}}")).await - of_streams - of_connections;
        let most = fixed + streams * a_stream + CONNECTIONS * a_connection;
        println!(
            "{job}: {fixed} series, {a_stream} a stream, {a_connection} a connection: {most} of {series_max}"
        );
        assert!(most <= series_max, "{job}: {most} series, at most {series_max}");
    }
}
