//! The OpenAPI document: made of the handlers themselves; here is what none of them says. Served, and printed for
//! `docs/reference/openapi.json`.

use std::io::Write;

use axum::response::Json;
use marketprism_service::{Context, Report};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::described;

/// Everything but the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "MarketPrism monitoring",
        description = "What Prometheus, Alertmanager, the services, the broker and both tiers say, in one shape. It changes nothing. \
                       Credentials are needed where the service is configured with any; /health and /ready are always public. \
                       Whatever is asked, a page of another host is answered 403, and too many requests of one address 429."
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

/// The guard's answer, wherever it stands before the handler.
pub(super) fn add_refusals(document: &mut Document) {
    let failure = Content::new(Some(Ref::from_schema_name("Failure")));
    let refusal =
        ResponseBuilder::new().description("Credentials are needed").content("application/json", failure);
    let refusal = refusal.build();
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [item.get.as_mut(), item.post.as_mut()]).flatten();
    for operation in operations.filter(|operation| operation.security.is_none()) {
        operation.responses.responses.insert("401".to_owned(), refusal.clone().into());
    }
}

/// Get this document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn show() -> Json<Document> {
    Json(described().into_openapi())
}

/// Prints it.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print() -> Result<(), Report> {
    let text = described().into_openapi().to_pretty_json()?;
    writeln!(std::io::stdout(), "{text}").context("failed to print the document")
}
