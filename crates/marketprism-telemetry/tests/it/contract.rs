//! Every name that people or rules rely on exists in the running pipeline, with the labels used, and no service tells more than
//! its budget allows.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use marketprism_telemetry::documents::{dashboard_expressions, declared_metrics, runbook_selectors};
use marketprism_telemetry::rules::rules;
use marketprism_telemetry::selectors::selectors;
use marketprism_telemetry::watched::{Plan, Watched};
use serde_json::{Value, json};

/// What is there only after something happened, or with a configuration that this pipeline has not, and why.
const ONLY_THEN: &[(&str, &str)] = &[
    ("marketprism_collector_recorded_", "while the collector records (`--record`)"),
    ("marketprism_nats_dead_letters_total", "after the first dead letter of a stream"),
    ("probe_ssl_earliest_cert_expiry", "where a probe reached a server that speaks TLS: tests reach none"),
];

/// Series a service may have at most, and how they grow. A histogram is 20 to 22 series.
const BUDGETS: &[(&str, u32, &str)] = &[
    (
        "collector",
        6_000,
        "5 markets x 9 data types x 3 histograms; 2 a stream up to metrics.streams_max (200), then no more",
    ),
    ("hot-storage", 1_000, "9 data types x (2 histograms + 20); nothing by symbol"),
    ("cold-storage", 700, "9 tables x (1 histogram + 17); nothing by symbol"),
    ("monitoring", 1_000, "nothing by symbol"),
];
/// Started pipelines have been scraped, polled and copied once by then.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn every_name_exists_in_the_running_pipeline() {
    let polled = json!({ "exchanges": { "okx_spot": { "orderbook": { "mode": "snapshot" } } } });
    let watched = Watched::start(Plan {
        symbols: 16,
        rate: 300,
        overrides: vec![("collector", polled)],
        hurry: 1,
        rewritten: Vec::new(),
        monitoring: json!({}),
    })
    .await;
    let asked = asked();
    assert!(asked.len() > 100, "{asked:?}");
    let end = Instant::now() + PATIENCE;
    let mut missing: Vec<_> = asked.into_iter().collect();
    loop {
        let mut still = Vec::new();
        for (selector, by) in missing {
            if watched.query(&format!("count({selector})")).await.is_empty() {
                still.push((selector, by));
            }
        }
        missing = still;
        if missing.is_empty() || Instant::now() > end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(missing.is_empty(), "no such series in the running pipeline: {missing:#?}");
    within_budget(&watched).await;
}

/// Everything that has to be there, and who says so.
fn asked() -> BTreeSet<(String, String)> {
    let mut asked = BTreeSet::new();
    for rule in rules() {
        asked.extend(
            selectors(&rule.expr).into_iter().map(|selector| (selector, format!("rule {}", rule.name))),
        );
        if !rule.is_alert {
            asked.insert((format!("{}{{}}", rule.name), "recorded".to_owned()));
        }
    }
    for (dashboard, expr) in dashboard_expressions() {
        asked.extend(selectors(&expr).into_iter().map(|selector| (selector, dashboard.clone())));
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
    asked.retain(|(selector, _)| !ONLY_THEN.iter().any(|(name, _)| selector.starts_with(name)));
    asked
}

async fn within_budget(watched: &Watched) {
    for (job, series_max, growth) in BUDGETS {
        let answer = watched.query(&format!("count({{job=\"{job}\"}})")).await;
        let series: u32 = answer.first().and_then(|one| one["value"][1].as_str()?.parse().ok()).unwrap();
        println!("{job}: {series} series of {series_max} at most: {growth}");
        assert!(series <= *series_max, "{job}: {series} series, at most {series_max}");
        let by_name = watched.query(&format!("topk(3, count by (__name__) ({{job=\"{job}\"}}))")).await;
        println!(
            "  most: {:?}",
            by_name
                .iter()
                .map(|one| (&one["metric"]["__name__"], &one["value"][1]))
                .collect::<Vec<(&Value, &Value)>>()
        );
    }
}
