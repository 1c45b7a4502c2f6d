//! What cannot be done here, and where it is done instead.

use crate::envelope::{ErrorCode, Failure};

/// Refused: alerts come from rules.
#[utoipa::path(
    post, path = "/api/v1/alerts", tag = "alerts",
    responses((status = 501, description = "Always", body = Failure))
)]
pub(super) async fn add_alert() -> Failure {
    refused("alerts come from Prometheus's rules; silences are made in Alertmanager")
}

/// Refused: rules are files.
#[utoipa::path(
    post, path = "/api/v1/alerts/rules", tag = "alerts",
    responses((status = 501, description = "Always", body = Failure))
)]
pub(super) async fn add_rule() -> Failure {
    refused("rules are the files of deploy/prometheus/rules, which are tested before they are loaded")
}

fn refused(instead: &str) -> Failure {
    Failure::new(ErrorCode::OperationNotAllowed, format!("this API changes nothing: {instead}"))
}
