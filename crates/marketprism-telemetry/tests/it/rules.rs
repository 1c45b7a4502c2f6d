//! The rules by themselves: they are read, each says all it should, and each was seen to fire and to resolve.

use std::collections::BTreeSet;
use std::process::Command;

use marketprism_telemetry::dashboards::dashboards;
use marketprism_telemetry::documents::runbook_anchors;
use marketprism_telemetry::root;
use marketprism_telemetry::rules::{Rule, expectations, files, rules};
use marketprism_testkit::promtool;

fn alerts() -> Vec<Rule> {
    rules().into_iter().filter(|rule| rule.is_alert).collect()
}

/// Runs a tool, and prints what it said when it is not content.
pub(crate) fn content(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

#[test]
fn prometheus_reads_configuration_and_rules() {
    let mut command = promtool();
    command.args(["check", "config"]).arg(root().join("deploy/prometheus/prometheus.yml"));
    let said = content(command);
    assert!(said.contains("rule files found"), "{said}");
}

#[test]
fn each_alert_fires_and_resolves_in_its_test() {
    let mut command = promtool();
    command.args(["test", "rules"]).args(files("tests"));
    content(command);
    let expectations = expectations();
    for alert in alerts() {
        // Silent, then firing, then silent again.
        let seen = expectations.iter().any(|expected| {
            let firing: Vec<_> = expected.firing.iter().map(|count| *count > 0).collect();
            expected.alert == alert.name && firing == [false, true, false]
        });
        assert!(seen, "no test sees {} fire and resolve", alert.name);
    }
}

#[test]
fn each_alert_says_how_bad_what_and_where_to_look() {
    let anchors = runbook_anchors();
    let dashboards: BTreeSet<_> = dashboards().into_iter().map(|dashboard| dashboard.uid).collect();
    let mut names = BTreeSet::new();
    for Rule { name, labels, annotations, expr, .. } in alerts() {
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert!(["critical", "warning", "info"].contains(&labels["severity"].as_str()), "{name}: {labels:?}");
        assert!(!labels["service"].is_empty(), "{name}");
        assert!(!annotations["summary"].is_empty(), "{name}");
        assert!(annotations["description"].contains("$value"), "{name}: says no value");
        let link = |key: &str, base: &str| annotations[key].strip_prefix(base).map(str::to_owned);
        let anchor = link("runbook_url", "{{ $externalLabels.runbook }}#");
        assert!(
            anchor.is_some_and(|anchor| anchors.contains(&anchor)),
            "{name}: {}",
            annotations["runbook_url"]
        );
        let dashboard = link("dashboard_url", "{{ $externalLabels.dashboards }}/");
        assert!(
            dashboard.is_some_and(|dashboard| dashboards.contains(&dashboard)),
            "{name}: {}",
            annotations["dashboard_url"]
        );
        let names_a_host =
            expr.contains("127.0.0.1") || expr.contains("localhost") || expr.contains("http://");
        assert!(!names_a_host, "{name}: hosts are in targets/: {expr}");
    }
}

/// A threshold that no configuration can reach, or that every batch reaches, is no alert.
#[test]
fn thresholds_are_those_of_the_configuration() {
    let config = std::fs::read_to_string(root().join("config/hot-storage.yaml")).unwrap();
    let of = |key: &str| {
        let value = config.split(&format!("  {key}: ")).nth(1).unwrap().split_whitespace().next();
        value.unwrap().to_owned()
    };
    let alert = alerts().into_iter().find(|alert| alert.name == "BatchQueueBacklogHigh").unwrap();
    for (metric, key) in [("size", "rows_max"), ("bytes", "bytes_max")] {
        let expected = format!("marketprism_storage_batch_queue_{metric}) > {}", of(key));
        assert!(alert.expr.contains(&expected), "{expected}: {}", alert.expr);
    }
}

/// The names that tools and people of the system before this one look for, and what it had no alert for.
#[test]
fn the_alerts_of_old_and_those_that_it_lacked_are_there() {
    let names: BTreeSet<_> = alerts().into_iter().map(|alert| alert.name).collect();
    for name in [
        "BrokerDown",
        "HotInsertErrorsHigh",
        "HotErrorRateHigh",
        "ColdReplicationLagHigh",
        "BatchQueueBacklogHigh",
        "CollectorTargetDown",
        "CollectorDown",
        "CollectorHighMemory",
        "CollectorHighConnections",
        "CollectorNoDataIngestion",
        "CollectorDataIngestionLow",
        "CollectorHealthDown",
        "HotServiceHealthDown",
        "HotStorageDown",
        "ColdServiceHealthDown",
        "ColdStorageDown",
        "ClickHouseHotDown",
        "ClickHouseColdDown",
        "SnapshotSuccessRateLow",
        "SnapshotSuccessRateCritical",
        "SnapshotLatencyHigh",
        "SnapshotLatencyCritical",
        "SnapshotReconnectionsFrequent",
        "SnapshotTimeoutRateHigh",
        "SnapshotRequestsStopped",
        "SnapshotAverageLatencyHigh",
        "SnapshotErrorRateHigh",
        // It had none of these.
        "StreamStale",
        "OrderBookUnsynced",
        "GapRateHigh",
        "PublishRetriesHigh",
        "StreamLossNear",
        "DeadLetters",
        "LedgerStalled",
        "UnverifiedDataNearRetention",
        "CertificateExpiring",
        "ClockSkew",
        "DescriptorsNearLimit",
        "DescriptorGrowth",
        "MemoryGrowth",
    ] {
        assert!(names.contains(name), "{name} is not there any more");
    }
}
