//! The OpenAPI document: made of the handlers themselves; here is what none of them says. Served, and printed for
//! `docs/reference/openapi.json`.

use std::io::Write;

use axum::response::Json;
use axum::routing::{MethodRouter, get};
use marketprism_service::{Context, Report};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::described;
use crate::auth;

/// Everything but the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "MarketPrism monitoring",
        description = "What Prometheus, Alertmanager and the services say, in one shape. It changes nothing. Credentials are needed \
                       where the service is configured with any; /health and /ready are always public."
    ),
    servers((url = "/")),
    modifiers(&Credentials),
    security((), ("api_key" = []), ("basic" = []), ("bearer" = []))
)]
pub(super) struct Base;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("api_key", key);
        components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
        components.add_security_scheme("bearer", http(HttpAuthScheme::Bearer));
    }
}

/// The whole document.
fn document() -> Document {
    let login = OpenApiRouter::new().routes(routes!(auth::login));
    let mut document = described().into_openapi();
    document.merge(login.into_openapi());
    document
}

/// Serves it.
pub(super) fn route<S: Clone + Send + Sync + 'static>() -> MethodRouter<S> {
    let document = document();
    get(async move || Json(document))
}

/// Prints it.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print() -> Result<(), Report> {
    let text = document().to_pretty_json()?;
    writeln!(std::io::stdout(), "{text}").context("failed to print the document")
}
