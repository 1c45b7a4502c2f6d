//! The REST API: what Prometheus, Alertmanager and the services say, in one shape. It changes nothing.
//!
//! Every path of the console's listener but the console's own files is in [`described`], and so in the OpenAPI document.

mod alerts;
mod components;
mod document;
mod metrics;
mod read_only;
mod rules;
mod status;
mod summary;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use marketprism_service::Report;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::envelope::{ErrorCode, Failure};
use crate::sources::Sources;
use crate::upstream::UpstreamError;
use crate::{auth, live, runbook, server};

pub(crate) use document::print as print_document;

/// All paths. Below `/api/` there is no file of the console, so what is unknown there is answered here.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::from(described().with_state(Arc::new(sources)))
        .route("/api/{*path}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Every path with its handler; `document` adds what no handler says.
fn described() -> OpenApiRouter<Arc<Sources>> {
    let mut described = OpenApiRouter::with_openapi(document::Base::openapi())
        .routes(routes!(alerts::list, read_only::add_alert))
        .routes(routes!(rules::list, read_only::add_rule))
        .routes(routes!(metrics::summary))
        .routes(routes!(components::list))
        .routes(routes!(status::show))
        .routes(routes!(document::show))
        .merge(live::routes())
        .routes(routes!(auth::login))
        .routes(routes!(runbook::page))
        .routes(routes!(server::health))
        .routes(routes!(server::ready));
    document::add_refusals(described.get_openapi_mut());
    described
}

async fn method_not_allowed() -> Failure {
    Failure::new(ErrorCode::MethodNotAllowed, "this path does not have this method")
}

async fn not_found() -> Failure {
    Failure::new(ErrorCode::NotFound, "there is no such path; /api/v1/openapi.json has them all")
}

impl From<UpstreamError> for Failure {
    fn from(error: UpstreamError) -> Self {
        let (upstream, is_absent) = (error.upstream(), error.is_absent());
        let failure = Self::unavailable(Report::from(error).to_string()).with("upstream", upstream);
        if is_absent { failure.with("configured", "false") } else { failure }
    }
}
