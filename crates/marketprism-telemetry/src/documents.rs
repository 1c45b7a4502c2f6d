//! The documents that name metrics: the runbook, the generated reference, the dashboards.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::root;

/// Beginnings of the names of metrics; the first two are ours.
const FAMILIES: &[&str] = &[
    "marketprism_",
    "collector_",
    "process_",
    "hot_storage_",
    "probe_",
    "gnatsd_",
    "alertmanager_",
    "prometheus_",
];

/// Dashboards that links of alerts may lead to.
pub const DASHBOARDS: &[&str] = &[
    "marketprism-unified",
    "marketprism-business",
    "marketprism-collector",
    "marketprism-storage",
    "marketprism-nats",
];

/// The anchors of the runbook's headings, as they are linked to.
#[must_use]
pub fn runbook_anchors() -> BTreeSet<String> {
    let is_kept = |c: &char| c.is_ascii_alphanumeric() || *c == ' ' || *c == '-';
    let headings = runbook();
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(is_kept).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// The series that the runbook names: `name` or `name{label}`, the latter with that label.
#[must_use]
pub fn runbook_selectors() -> BTreeSet<String> {
    let text = runbook();
    let quoted = text.split('`').skip(1).step_by(2);
    let names = quoted.filter(|name| FAMILIES.iter().any(|family| name.starts_with(family)));
    names.filter_map(selector).collect()
}

/// `name{a, b="c"}` as an expression; `None` for what is more than a name.
fn selector(quoted: &str) -> Option<String> {
    let (name, labels) = quoted.split_once('{').unwrap_or((quoted, "}"));
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name(name) {
        return None;
    }
    let labels = labels.strip_suffix('}')?.split(',').map(str::trim).filter(|label| !label.is_empty());
    let condition =
        |label: &str| if label.contains('=') { label.to_owned() } else { format!("{label}!=\"\"") };
    Some(format!("{name}{{{}}}", labels.map(condition).collect::<Vec<_>>().join(",")))
}

/// Name and type of every metric that a service declares.
#[must_use]
pub fn declared_metrics() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("docs/reference/metrics.md")).expect("the reference");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let kind = |rest: &str| rest.split(" |").next().unwrap_or_default().to_owned();
    rows.map(|(name, rest)| (name.to_owned(), kind(rest))).collect()
}

/// The expressions of every panel and variable, with the dashboard they are in.
#[must_use]
pub fn dashboard_expressions() -> Vec<(String, String)> {
    let Ok(folder) = fs::read_dir(root().join("deploy/grafana/dashboards")) else { return Vec::new() };
    let mut found = Vec::new();
    for path in folder.map(|entry| entry.expect("a file").path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        expressions(&dashboard, &mut |expr| found.push((name.clone(), resolved(expr))));
    }
    found
}

fn expressions(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            if let Some(expr) = fields.get("expr").and_then(Value::as_str) {
                found(expr);
            }
            fields.values().for_each(|field| expressions(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// As Grafana would ask with "All" chosen everywhere.
fn resolved(expr: &str) -> String {
    let mut text =
        expr.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$__range", "1h");
    for variable in ["exchange", "market_type", "data_type", "process", "subject", "table", "stream", "job"] {
        text = text.replace(&format!("${{{variable}}}"), ".+").replace(&format!("${variable}"), ".+");
    }
    text
}

fn runbook() -> String {
    fs::read_to_string(root().join("docs/runbook.md")).expect("the runbook")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_texts() {
        assert_eq!(selector("x_total{stream}").unwrap(), "x_total{stream!=\"\"}");
        assert_eq!(selector("x{state=\"stale\"}").unwrap(), "x{state=\"stale\"}");
        assert_eq!(selector("x_total").unwrap(), "x_total{}");
        assert_eq!(selector("x_a, x_b"), None);
        assert!(runbook_anchors().contains("collectortargetdown"));
        assert!(declared_metrics().iter().any(|(name, _)| name == "marketprism_nats_connected"));
        assert_eq!(resolved("rate(x{a=~\"$exchange\"}[$__rate_interval])"), "rate(x{a=~\".+\"}[1m])");
    }
}
