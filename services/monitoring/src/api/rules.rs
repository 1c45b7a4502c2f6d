//! `GET /api/v1/alerts/rules`: which alerts can fire, as Prometheus has them loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::alerts::{CATEGORY_DEFAULT, Severity};
use crate::envelope::{Failure, Success};
use crate::parameters::Parameters;
use crate::sources::Sources;
use crate::upstream::FoundRule;

/// Rules, in the order of their groups.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// Alerting rules that Prometheus has.
    total_count: usize,
    /// Rules that the filters let through.
    filtered_count: usize,
    filters_applied: RuleFilters,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RuleFilters {
    enabled: Option<bool>,
    severity: Option<Severity>,
    category: Option<String>,
    limit: usize,
}

/// One alerting rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rule {
    /// The rule's name.
    id: String,
    name: String,
    group: String,
    /// In PromQL.
    expression: String,
    /// How long it must hold before people are told.
    for_seconds: f64,
    /// The label `severity`; `unknown` without.
    severity: String,
    /// The label `category`; `system` without.
    category: String,
    /// Whether Prometheus can evaluate it: one that cannot never fires.
    enabled: bool,
    /// Why it cannot.
    error: Option<String>,
    /// `inactive`, `pending` or `firing`.
    state: String,
    description: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// List the alerting rules that Prometheus has loaded.
#[utoipa::path(
    get, path = "/api/v1/alerts/rules", tag = "alerts",
    params(
        ("enabled" = Option<bool>, Query, description = "Only those that can be evaluated, or only those that cannot"),
        ("severity" = Option<Severity>, Query, description = "Only these"),
        ("category" = Option<String>, Query, description = "Only these", max_length = 100),
        ("limit" = Option<usize>, Query, description = "At most so many; 100 unless given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "The rules", body = Success<Rules>),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "Prometheus does not answer", body = Failure),
    )
)]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    mut parameters: Parameters,
) -> Result<Success<Rules>, Failure> {
    let filters = RuleFilters {
        enabled: parameters.flag("enabled")?,
        severity: parameters.word("severity")?,
        category: parameters.text("category"),
        limit: parameters.limit()?,
    };
    parameters.end()?;
    let found = sources.prometheus.rules().await?;
    let total_count = found.len();
    let mut rules: Vec<_> = found.into_iter().map(Rule::from).filter(|rule| filters.pass(rule)).collect();
    let filtered_count = rules.len();
    rules.truncate(filters.limit);
    let message = format!("{} of {total_count} rules", rules.len());
    Ok(Success::new(message, Rules { rules, total_count, filtered_count, filters_applied: filters }))
}

impl RuleFilters {
    fn pass(&self, rule: &Rule) -> bool {
        self.enabled.is_none_or(|enabled| rule.enabled == enabled)
            && self.severity.is_none_or(|severity| rule.severity == severity.as_str())
            && self.category.as_ref().is_none_or(|category| rule.category == *category)
    }
}

impl From<FoundRule> for Rule {
    fn from(found: FoundRule) -> Self {
        let label =
            |name: &str, default: &str| found.labels.get(name).cloned().unwrap_or_else(|| default.to_owned());
        Self {
            id: found.name.clone(),
            severity: label("severity", "unknown"),
            category: label("category", CATEGORY_DEFAULT),
            name: found.name,
            group: found.group,
            expression: found.query,
            for_seconds: found.duration,
            enabled: found.health != "err",
            error: Some(found.last_error).filter(|error| !error.is_empty()),
            state: found.state,
            description: found.annotations.get("description").cloned().unwrap_or_default(),
            labels: found.labels,
            annotations: found.annotations,
        }
    }
}
