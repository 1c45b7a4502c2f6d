//! Grafana's dashboards, `deploy/grafana/dashboards/*.json`: one module a dashboard says what is on it, `model.rs` makes
//! the JSON. That every query finds something is tested against the running pipeline, not here.

mod business;
mod collector;
mod model;
mod nats;
mod storage;
mod unified;

use crate::Failure;

use super::Page;

/// One file a dashboard, named by its uid: links lead to `/d/<uid>`.
pub(super) fn pages() -> Result<Vec<Page>, Failure> {
    [
        unified::dashboard(),
        business::dashboard(),
        collector::dashboard(),
        storage::dashboard(),
        nats::dashboard(),
    ]
    .iter()
    .map(|dashboard| {
        let mut text = serde_json::to_string_pretty(&dashboard.json())?;
        text.push('\n');
        Ok(Page { path: format!("{}.json", dashboard.uid).into(), text })
    })
    .collect()
}
