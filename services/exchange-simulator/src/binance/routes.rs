//! Binance's paths: `/ws`, `/stream` (spot), the same under `/public` and `/market` (USDⓈ-M), and REST.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::refusal::Parameters;
use super::rest::answer;
use super::session::BinanceSession;
use super::stream_name::Route;
use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::server::{Sockets, upgrade};

/// WebSocket paths.
pub(crate) fn sockets(sockets: &Sockets) -> Router<Arc<Hub>> {
    let mut router = Router::new();
    for (prefix, route) in [("", Route::Spot), ("/public", Route::UsdmPublic), ("/market", Route::UsdmMarket)]
    {
        router = router
            .route(&format!("{prefix}/ws"), socket(route, sockets.clone(), false))
            .route(&format!("{prefix}/ws/{{*streams}}"), socket(route, sockets.clone(), false))
            .route(&format!("{prefix}/stream"), socket(route, sockets.clone(), true));
    }
    router
}

/// REST paths.
pub(crate) fn rest() -> Router<Arc<Hub>> {
    let mut router = Router::new();
    for prefix in ["/api/v3", "/fapi/v1", "/futures/data"] {
        router = router.route(&format!("{prefix}/{{endpoint}}"), get(ask));
    }
    router
}

async fn ask(State(hub): State<Arc<Hub>>, uri: Uri, Query(parameters): Query<Parameters>) -> Response {
    answer(&hub, uri.path(), &parameters).await
}

fn socket(route: Route, sockets: Sockets, combined: bool) -> MethodRouter<Arc<Hub>> {
    get(
        move |State(hub): State<Arc<Hub>>,
              path: Option<Path<String>>,
              Query(parameters): Query<Parameters>,
              handshake: WebSocketUpgrade| async move {
            if parameters.contains_key("timeUnit") {
                let text = "timeUnit: not simulated, timestamps are milliseconds";
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
            let names = if combined {
                stream_names(parameters.get("streams").map_or("", String::as_str))
            } else {
                stream_names(path.as_ref().map_or("", |Path(path)| path))
            };
            let max = hub.limits.streams_per_connection_max;
            if names.len() > max {
                let text = format!("streams: {} asked for, at most {max} on one connection", names.len());
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
            let session = BinanceSession::new(route, combined, names, &hub.limits);
            let market_type = Some(route.product().market_type());
            upgrade(hub, sockets, handshake, Exchange::Binance, market_type, session).await
        },
    )
}

fn stream_names(list: &str) -> Vec<String> {
    list.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
