//! Listening and serving, alike for both listeners. What is served is not its business.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use marketprism_service::{CancellationToken, Context, Health, Report, Status};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// How long answers under way may take at the end; streams end by the service's token, so only a stuck client takes it.
const DRAIN: Duration = Duration::from_secs(5);

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

/// Serves until `token`, and then until answers under way are given.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    token: CancellationToken,
) -> Result<(), Report> {
    let served = axum::serve(listener, routes).with_graceful_shutdown(token.clone().cancelled_owned());
    tokio::select! {
        served = served.into_future() => served.context("failed to serve"),
        () = async { token.cancelled().await; sleep(DRAIN).await } => Ok(()),
    }
}

/// `/health` as on the admin server, and `/ready`, the same without a body to read.
pub(crate) fn health_routes(health: Health) -> Router {
    Router::new().route("/health", get(health_body)).route("/ready", get(ready)).with_state(health)
}

async fn health_body(State(health): State<Health>) -> Response {
    let (status, body) = health.body();
    (code(status), Json(body)).into_response()
}

async fn ready(State(health): State<Health>) -> StatusCode {
    code(health.status())
}

const fn code(status: Status) -> StatusCode {
    match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}
