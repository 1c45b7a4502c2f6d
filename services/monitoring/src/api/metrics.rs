//! `GET /api/v1/metrics`: a summary of the system in a few figures, for people and for scripts. Prometheus has the rest.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::summary::{Category, FIGURES, Figure};
use crate::envelope::{Failure, Success};
use crate::parameters::Parameters;
use crate::sources::Sources;

/// In which form.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    #[default]
    Json,
    /// The text that Prometheus reads.
    Prometheus,
}

/// The figures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Metrics {
    metrics: Vec<Metric>,
}

/// One figure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Metric {
    name: &'static str,
    category: Category,
    unit: &'static str,
    description: &'static str,
    /// `null` where Prometheus knows none.
    value: Option<f64>,
    /// In PromQL.
    query: &'static str,
}

/// Summarise the system in a few figures.
#[utoipa::path(
    get, path = "/api/v1/metrics", tag = "metrics",
    params(
        ("category" = Option<Category>, Query, description = "Only these"),
        ("format" = Option<Form>, Query, description = "json unless given"),
    ),
    responses(
        (status = 200, description = "The figures", content(
            (Success<Metrics> = "application/json"),
            (String = "text/plain"),
        )),
        (status = 400, description = "A parameter is wrong", body = Failure),
        (status = 503, description = "Prometheus does not answer", body = Failure),
    )
)]
pub(super) async fn summary(
    State(sources): State<Arc<Sources>>,
    mut parameters: Parameters,
) -> Result<Response, Failure> {
    let category: Option<Category> = parameters.word("category")?;
    let form: Option<Form> = parameters.word("format")?;
    parameters.end()?;
    let wanted = FIGURES.iter().filter(|figure| category.is_none_or(|category| figure.category == category));
    let wanted: Vec<&Figure> = wanted.collect();
    // One question for all, so that all are of the same moment.
    let named = |figure: &&Figure| {
        format!("label_replace({}, \"figure\", \"{}\", \"\", \"\")", figure.query, figure.name)
    };
    let query = wanted.iter().map(named).collect::<Vec<_>>().join(" or ");
    let values = sources.prometheus.values(&query, "figure").await?;
    let metric = |figure: &&Figure| Metric {
        name: figure.name,
        category: figure.category,
        unit: figure.unit,
        description: figure.description,
        value: values.get(figure.name).copied(),
        query: figure.query,
    };
    let metrics: Vec<_> = wanted.iter().map(metric).collect();
    match form.unwrap_or_default() {
        Form::Json => {
            let message = format!("{} of {} figures are known", values.len(), metrics.len());
            Ok(Success::new(message, Metrics { metrics }).into_response())
        }
        Form::Prometheus => {
            Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text(&metrics)).into_response())
        }
    }
}

fn text(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        if let Some(value) = metric.value {
            let name = format!("marketprism_summary_{}", metric.name);
            text.push_str(&format!(
                "# HELP {name} {}.\n# TYPE {name} gauge\n{name} {value}\n",
                metric.description
            ));
        }
    }
    text
}
