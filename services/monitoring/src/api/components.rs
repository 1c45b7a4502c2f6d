//! `GET /api/v1/health/components`: every part of the system, asked now.

use std::sync::Arc;

use axum::extract::State;
use marketprism_service::Report;
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::parameters::Parameters;
use crate::envelope::{Failure, Success};
use crate::upstream::{Component, ComponentStatus};

/// The whole and its parts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ComponentList {
    /// The worst of them.
    status: ComponentStatus,
    components: Vec<Component>,
}

/// Ask every part of the system for its health.
#[utoipa::path(
    get, path = "/api/v1/health/components", tag = "health",
    responses(
        (status = 200, description = "What each says, also where one is down", body = Success<ComponentList>),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Success<ComponentList>, Failure> {
    parameters.end()?;
    let up = sources.prometheus.values("min by (job) (up)", "job").await;
    // Prometheus is one of the parts; that it is away is said there, and the others still speak for themselves.
    let up = up.map_err(
        |error| tracing::warn!(error = %Report::from(error), "whether services are scraped is unknown"),
    );
    let components = sources.components.ask(&up.unwrap_or_default()).await;
    let status = components.iter().map(|component| component.status).max();
    let healthy = components.iter().filter(|one| one.status == ComponentStatus::Healthy).count();
    let message = format!("{healthy} of {} components are healthy", components.len());
    let status = status.unwrap_or(ComponentStatus::Healthy);
    Ok(Success::new(message, ComponentList { status, components }))
}
