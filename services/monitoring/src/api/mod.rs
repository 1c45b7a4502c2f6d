//! The REST API below `/api/v1`: what Prometheus, Alertmanager and the services say, in one shape. It changes nothing.

mod alerts;
mod components;
mod document;
mod metrics;
mod parameters;
mod read_only;
mod rules;
mod status;
mod summary;

use std::sync::Arc;

use axum::Router;
use marketprism_service::{Health, Report};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, Guard};
use crate::envelope::{ErrorCode, Failure};
use crate::upstream::{Alertmanager, Components, Prometheus, UpstreamError};

pub(crate) use document::print as print_document;

/// Whom the answers come from.
pub(crate) struct Sources {
    pub(crate) prometheus: Prometheus,
    pub(crate) alertmanager: Alertmanager,
    pub(crate) components: Components,
    pub(crate) health: Health,
}

/// The paths of this API and of `/login`.
pub(crate) fn routes(sources: Sources, guard: Arc<Guard>) -> Router {
    let (routes, _) = described().split_for_parts();
    let login = OpenApiRouter::<Arc<Guard>>::new().routes(routes!(auth::login)).with_state(guard);
    routes
        .with_state(Arc::new(sources))
        .route("/api/v1/openapi.json", document::route())
        .merge(Router::from(login))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Every path with its handler; `document` adds what no handler says.
fn described() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::with_openapi(document::Base::openapi())
        .routes(routes!(alerts::list, read_only::add_alert))
        .routes(routes!(rules::list, read_only::add_rule))
        .routes(routes!(metrics::summary))
        .routes(routes!(components::list))
        .routes(routes!(status::show))
}

async fn method_not_allowed() -> Failure {
    Failure::new(ErrorCode::MethodNotAllowed, "this path does not have this method")
}

/// Below `/api/` there is no file of the console.
pub(crate) async fn not_found() -> Failure {
    Failure::new(ErrorCode::NotFound, "there is no such path; /api/v1/openapi.json has them all")
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        let upstream = error.upstream();
        Self::new(ErrorCode::ServiceUnavailable, Report::from(error).to_string()).with("upstream", upstream)
    }
}
