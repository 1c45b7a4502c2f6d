//! `GET /api/v1/status`: this service's own health, in the API's shape.

use std::sync::Arc;

use axum::extract::State;
use marketprism_service::HealthBody;

use crate::envelope::{Failure, Success};
use crate::parameters::Parameters;
use crate::sources::Sources;

/// Show the health of this service.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "health",
    responses(
        (status = 200, description = "As /health has it", body = Success<Object>),
        (status = 400, description = "A parameter is wrong", body = Failure),
    )
)]
pub(super) async fn show(
    State(sources): State<Arc<Sources>>,
    parameters: Parameters,
) -> Result<Success<HealthBody>, Failure> {
    parameters.end()?;
    let (_, body) = sources.health.body();
    Ok(Success::new("monitoring is running", body))
}
