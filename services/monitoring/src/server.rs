//! Listening and serving, alike for both listeners. What is served is not its business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Json, Response};
use marketprism_service::{CancellationToken, Context, HealthBody, Report, Status};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_http::compression::CompressionLayer;

use crate::auth::{Guard, guard};
use crate::sources::Sources;

/// How long answers under way may take at the end; streams end by the service's token, so only a stuck client takes it.
const DRAIN: Duration = Duration::from_secs(5);
/// Bytes of a body, unless a route says otherwise: a login has some 100.
const BODY_BYTES_MAX: usize = 10 << 10;
/// Of every answer. The console is files of its own and talks to nobody else; styles may be set by scripts.
const SECURITY: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Listens on `address`, which the configuration calls `key`.
///
/// # Errors
/// When the address cannot be had.
pub(crate) async fn bind(key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Report> {
    let failed = || format!("failed to listen on {address} ({key})");
    let listener = TcpListener::bind(address).await.context(failed())?;
    let address = listener.local_addr().context(failed())?;
    tracing::info!(key, %address, "listening");
    Ok((listener, address))
}

/// `routes` behind the guard, their answers small and safe in a browser.
pub(crate) fn guarded(routes: Router, rules: Arc<Guard>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(rules, guard))
        .layer(CompressionLayer::new())
        .layer(from_fn(secured))
}

/// Serves until `token`, and then until answers under way are given.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    token: CancellationToken,
) -> Result<(), Report> {
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, routes).with_graceful_shutdown(token.clone().cancelled_owned());
    tokio::select! {
        served = served.into_future() => served.context("failed to serve"),
        () = async { token.cancelled().await; sleep(DRAIN).await } => Ok(()),
    }
}

/// Show the health of this service, as its admin server does.
#[utoipa::path(
    get, path = "/health", tag = "health", security(()),
    responses(
        (status = 200, description = "It is healthy or degraded", body = Object),
        (status = 503, description = "It is unhealthy", body = Object),
    )
)]
pub(crate) async fn health(State(sources): State<Arc<Sources>>) -> (StatusCode, Json<HealthBody>) {
    let (status, body) = sources.health.body();
    (code(status), Json(body))
}

/// The same without a body to read.
#[utoipa::path(
    get, path = "/ready", tag = "health", security(()),
    responses(
        (status = 200, description = "It is healthy or degraded"),
        (status = 503, description = "It is unhealthy"),
    )
)]
pub(crate) async fn ready(State(sources): State<Arc<Sources>>) -> StatusCode {
    code(sources.health.status())
}

const fn code(status: Status) -> StatusCode {
    match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn secured(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in SECURITY {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
