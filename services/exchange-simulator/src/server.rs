//! The one port: WebSocket paths and REST of every exchange, control. Which paths there are is each exchange's folder;
//! here are the faults that all of them meet at the door.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use marketprism_service::HostNames;
use marketprism_service::http::{Limits, PageGuard, Site, Visitors};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::instrument::MarketType;
use crate::session::Session;
use crate::{connection, control};

/// What the port grants. An exchange has limits of its own, which `limits` of the configuration and the faults are for; these only keep
/// the simulator alive.
const LIMITS: Limits = Limits {
    // Twice the pong timeout of the slowest exchange here (Binance: a minute), which ends a client that does not read.
    write_stall: Duration::from_secs(120),
    // A collector with a socket for each stream, tenfold, all from one address.
    connections_max: 16_384,
    connections_per_address_max: 16_384,
    ..Limits::STANDARD
};

/// Who is answered: at the exchanges' paths everyone and under every name, as proxies and name services have it; no page may have a fault
/// injected.
pub(crate) fn site(hosts: HostNames) -> Site {
    let visitors = |path: &str| if path.starts_with("/control/") { Visitors::Own } else { Visitors::Anyone };
    Site::new("simulator", LIMITS, PageGuard::new(hosts).with_visitors(visitors))
}

/// Open sockets: they outlive the request that made them, so they are told to end and waited for here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sockets {
    pub(crate) tracker: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// Every route of the simulator.
pub(crate) fn router(hub: Arc<Hub>, sockets: &Sockets) -> Router {
    let mut router = control::routes();
    for exchange in Exchange::ALL {
        let at_the_door = from_fn_with_state((Arc::clone(&hub), exchange), rest_faults);
        router = router.merge(exchange.sockets(sockets)).merge(exchange.rest().route_layer(at_the_door));
    }
    router.with_state(hub)
}

/// Answers a handshake, as the faults allow, and serves `session` on the new socket. `market_type` is absent where one
/// connection carries every market type of `exchange`.
pub(crate) async fn upgrade(
    hub: Arc<Hub>,
    sockets: Sockets,
    handshake: WebSocketUpgrade,
    exchange: Exchange,
    market_type: Option<MarketType>,
    session: impl Session + 'static,
) -> Response {
    if hub.faults.refuses(exchange, market_type) {
        hub.count_request("handshake refused");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // Half open: the connection is accepted, and nothing is said on it.
    while let Some(until) = hub.faults.silent_until(exchange, market_type) {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = sockets.shutdown.cancelled() => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
    handshake.on_upgrade(move |socket| {
        let Sockets { tracker, shutdown } = sockets;
        let serving = connection::serve(socket, hub, (exchange, market_type), Box::new(session), shutdown);
        tracker.track_future(serving)
    })
}

/// The faults `slow_rest` and `rate_limit`, before any exchange's own limits.
async fn rest_faults(
    State((hub, exchange)): State<(Arc<Hub>, Exchange)>,
    request: Request,
    next: Next,
) -> Response {
    let market_type = exchange.market_type_of_path(request.uri().path());
    sleep(hub.faults.rest_delay(exchange, market_type)).await;
    let Some(refusal) = hub.faults.rest_refusal(exchange, market_type) else {
        return next.run(request).await;
    };
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    hub.count_request(match refusal.status {
        418 => "answered 418",
        451 => "answered 451",
        403 => "answered 403",
        _ => "answered 429",
    });
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (status, json, exchange.refusal(status)).into_response();
    if let Some(seconds) = refusal.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
