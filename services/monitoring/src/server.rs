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
use axum::response::{IntoResponse, Json, Response};
use marketprism_service::http::{Foreign, Limits, PageGuard, Site, Visitors};
use marketprism_service::{CancellationToken, Context, HealthBody, HostNames, Report, Status};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_http::compression::CompressionLayer;

use crate::auth::{Guard, guard};
use crate::envelope::{ErrorCode, Failure};
use crate::sources::Sources;

/// How long answers under way may take at the end; streams end by the service's token, so only a stuck client takes it.
const DRAIN: Duration = Duration::from_secs(5);
/// Bytes of a body, unless a route says otherwise: a login has some 100.
const BODY_BYTES_MAX: usize = 10 << 10;
/// What the console grants.
const CONSOLE: Limits = Limits {
    // As long as a market's viewer may take nothing (live/market.rs): a stream has an event a second, and a viewer that takes none is gone.
    write_stall: Duration::from_secs(10),
    // Every viewer that live.viewers_max allows by default, twice, and eight sockets for each of fifty browsers.
    connections_max: 512,
    // The console in a browser uses three, and six at its start: ten people behind one proxy.
    connections_per_address_max: 32,
    ..Limits::STANDARD
};
/// What the bridge grants: Alertmanager, one address, has a connection for each group of alerts that waits for its robot. More than may
/// wait at a target (bridge/mod.rs), so that it is the bridge that says so.
const BRIDGE: Limits = Limits { connections_per_address_max: 384, ..CONSOLE };
/// Of every answer. The console is files of its own and talks to nobody else; styles may be set by scripts.
const SECURITY: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // No page of another origin may show an answer, or keep hold of the console's window.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
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

/// The console's listener. People follow links of chats and dashboards to its pages, but not into its API.
pub(crate) fn console(hosts: &HostNames) -> Site {
    let visitors = |path: &str| if path.starts_with("/api/") { Visitors::Own } else { Visitors::Linked };
    Site::new("console", CONSOLE, PageGuard::new(hosts.clone()).with_visitors(visitors).with_refusal(refusal))
}

/// The bridge's listener, which only Alertmanager has business with.
pub(crate) fn bridge(hosts: &HostNames) -> Site {
    Site::new("bridge", BRIDGE, PageGuard::new(hosts.clone()).with_refusal(refusal))
}

fn refusal(foreign: &Foreign) -> Response {
    secure(Failure::new(ErrorCode::Forbidden, foreign.to_string()).into_response())
}

/// Serves until `token`, and then until answers under way are given.
///
/// # Errors
/// None; a source returns a `Result`.
pub(crate) async fn serve(
    site: Site,
    listener: TcpListener,
    routes: Router,
    token: CancellationToken,
) -> Result<(), Report> {
    tokio::select! {
        () = site.serve(listener, routes, token.clone()) => {}
        () = async { token.cancelled().await; sleep(DRAIN).await } => {}
    }
    Ok(())
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
    secure(next.run(request).await)
}

fn secure(mut answer: Response) -> Response {
    for (name, value) in SECURITY {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
