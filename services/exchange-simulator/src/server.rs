//! The one port: WebSocket paths of both markets, REST of both, control. Routes only; what they do is elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::binance::rest;
use crate::binance::stream_name::Route;
use crate::exchange::Exchange;
use crate::instrument::MarketType;
use crate::{connection, control};

/// Open sockets: they outlive the request that made them, so they are told to end and waited for here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sockets {
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

type Parameters = HashMap<String, String>;

/// Every route of the simulator.
pub(crate) fn router(exchange: Arc<Exchange>, sockets: &Sockets) -> Router {
    let mut router = Router::new()
        .route("/api/v3/{endpoint}", get(spot_rest))
        .route("/fapi/v1/{endpoint}", get(usdm_rest))
        .merge(control::routes());
    for (prefix, route) in [("", Route::Spot), ("/public", Route::UsdmPublic), ("/market", Route::UsdmMarket)]
    {
        router = router
            .route(&format!("{prefix}/ws"), upgrade(route, sockets.clone(), false))
            .route(&format!("{prefix}/ws/{{*streams}}"), upgrade(route, sockets.clone(), false))
            .route(&format!("{prefix}/stream"), upgrade(route, sockets.clone(), true));
    }
    router.with_state(exchange)
}

fn upgrade(route: Route, sockets: Sockets, combined: bool) -> axum::routing::MethodRouter<Arc<Exchange>> {
    get(
        move |State(exchange): State<Arc<Exchange>>,
              path: Option<Path<String>>,
              Query(parameters): Query<Parameters>,
              handshake: WebSocketUpgrade| async move {
            if exchange.faults.refuses() {
                exchange.count_request("handshake refused");
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            if parameters.contains_key("timeUnit") {
                let text = "timeUnit: not simulated, timestamps are milliseconds";
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
            let names = if combined {
                stream_names(parameters.get("streams").map_or("", String::as_str))
            } else {
                stream_names(path.as_ref().map_or("", |Path(path)| path))
            };
            let max = exchange.limits.streams_per_connection_max;
            if names.len() > max {
                let text = format!("streams: {} asked for, at most {max} on one connection", names.len());
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
            handshake.on_upgrade(move |socket| {
                let Sockets { tracker, shutdown } = sockets;
                tracker.track_future(connection::serve(socket, exchange, route, combined, names, shutdown))
            })
        },
    )
}

fn stream_names(list: &str) -> Vec<String> {
    list.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

async fn spot_rest(
    State(exchange): State<Arc<Exchange>>,
    Path(endpoint): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    rest::answer(&exchange, MarketType::Spot, &endpoint, &parameters).await
}

async fn usdm_rest(
    State(exchange): State<Arc<Exchange>>,
    Path(endpoint): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    rest::answer(&exchange, MarketType::Perpetual, &endpoint, &parameters).await
}
