//! The documents that name metrics: the runbook, the generated reference, the budgets of series.

use std::collections::BTreeSet;
use std::fs;

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

/// How many series a service may have.
#[derive(Debug)]
pub struct SeriesBudget {
    /// Prometheus's name for it.
    pub job: String,
    /// With no more streams than the collector tells one by one.
    pub series_max: u64,
}

/// The table of `deploy/prometheus/README.md`: `| job | 6000 | why |`.
#[must_use]
pub fn series_budgets() -> Vec<SeriesBudget> {
    let text = fs::read_to_string(root().join("deploy/prometheus/README.md")).expect("the README");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let budget = |(job, rest): (&str, &str)| {
        let series_max = rest.split(" |").next()?.parse().ok()?;
        Some(SeriesBudget { job: job.to_owned(), series_max })
    };
    rows.filter_map(budget).collect()
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
    }
}
