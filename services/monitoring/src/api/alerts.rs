//! `GET /api/v1/alerts`: what Alertmanager has now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::envelope::{Failure, Success};
use crate::parameters::Parameters;
use crate::sources::Sources;
use crate::upstream::FoundAlert;

/// The category of what names none.
pub(super) const CATEGORY_DEFAULT: &str = "system";

/// What Alertmanager does about an alert.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AlertStatus {
    /// People are told.
    Active,
    /// Silenced, or inhibited by a larger one.
    Suppressed,
    /// Just arrived.
    Unprocessed,
}

impl AlertStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suppressed => "suppressed",
            Self::Unprocessed => "unprocessed",
        }
    }
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Alerts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alerts {
    alerts: Vec<Alert>,
    /// Alerts that Alertmanager has.
    total_count: usize,
    /// Alerts that the filters let through; more than `alerts` where the limit cut them.
    filtered_count: usize,
    filters_applied: AlertFilters,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AlertFilters {
    status: Option<AlertStatus>,
    severity: Option<Severity>,
    category: Option<String>,
    limit: usize,
}

/// One alert.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alert {
    /// Alertmanager's fingerprint.
    id: String,
    /// The rule's name.
    rule_id: String,
    name: String,
    /// The label `severity`; `unknown` without.
    severity: String,
    /// `active`, `suppressed` or `unprocessed`.
    status: String,
    /// The label `category`; `system` without.
    category: String,
    /// Since when, UTC.
    timestamp: String,
    /// With the value.
    description: String,
    /// Prometheus's page of the expression.
    source: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// List the alerts that Alertmanager has.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "alerts",
    params(
        ("status" = Option<AlertStatus>, Query, description = "Only these"),
        ("severity" = Option<Severity>, Query, description = "Only these"),
        ("category" = Option<String>, Query, description = "Only these", max_length = 100),
        ("limit" = Option<usize>, Query, description = "At most so many; 100 unless given", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "The alerts", body = Success<Alerts>),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "Alertmanager does not answer", body = Failure),
    )
)]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    mut parameters: Parameters,
) -> Result<Success<Alerts>, Failure> {
    let filters = AlertFilters {
        status: parameters.word("status")?,
        severity: parameters.word("severity")?,
        category: parameters.text("category"),
        limit: parameters.limit()?,
    };
    parameters.end()?;
    let found = sources.alertmanager.alerts().await?;
    let total_count = found.len();
    let mut alerts: Vec<_> = found.into_iter().map(Alert::from).filter(|alert| filters.pass(alert)).collect();
    let filtered_count = alerts.len();
    alerts.sort_by(|one, other| other.timestamp.cmp(&one.timestamp).then_with(|| one.id.cmp(&other.id)));
    alerts.truncate(filters.limit);
    let message = format!("{} of {total_count} alerts", alerts.len());
    Ok(Success::new(message, Alerts { alerts, total_count, filtered_count, filters_applied: filters }))
}

impl AlertFilters {
    fn pass(&self, alert: &Alert) -> bool {
        self.status.is_none_or(|status| alert.status == status.as_str())
            && self.severity.is_none_or(|severity| alert.severity == severity.as_str())
            && self.category.as_ref().is_none_or(|category| alert.category == *category)
    }
}

impl From<FoundAlert> for Alert {
    fn from(found: FoundAlert) -> Self {
        let label =
            |name: &str, default: &str| found.labels.get(name).cloned().unwrap_or_else(|| default.to_owned());
        let annotation = |name: &str| found.annotations.get(name).cloned();
        let name = label("alertname", "unknown");
        Self {
            id: found.fingerprint,
            rule_id: name.clone(),
            severity: label("severity", "unknown"),
            category: label("category", CATEGORY_DEFAULT),
            name,
            status: found.status.state,
            timestamp: found.starts_at,
            description: annotation("description").or_else(|| annotation("summary")).unwrap_or_default(),
            source: found.generator_url,
            labels: found.labels,
            annotations: found.annotations,
        }
    }
}
