//! OKX's wire protocol: spot, swaps and dated futures on the same two sockets. What a folder provides is said in
//! `exchange.rs`.

mod channel;
mod first_push;
mod frames;
mod instrument_type;
mod listing;
mod publish;
mod requests;
mod rest;
mod session;
pub(crate) mod windows;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::fault::Selector;
use crate::hub::Hub;
use crate::lock::lock;
use crate::server::{Sockets, upgrade};
use channel::Route;
pub(crate) use listing::instruments;
pub(crate) use publish::{listing_changed, publish};
pub(crate) use rest::rest;
use session::OkxSession;

/// Handshakes of one address within a second; everybody here has the same one.
const HANDSHAKES_MAX: u32 = 3;

pub(crate) fn sockets(sockets: &Sockets) -> Router<Arc<Hub>> {
    let mut router = Router::new();
    for (path, route) in [("/ws/v5/public", Route::Public), ("/ws/v5/business", Route::Business)] {
        let sockets = sockets.clone();
        let handler = get(move |State(hub): State<Arc<Hub>>, handshake: WebSocketUpgrade| async move {
            if !lock(&hub.okx_handshakes).allow("handshake", "", HANDSHAKES_MAX, Instant::now()) {
                hub.count_request("handshake refused");
                return StatusCode::TOO_MANY_REQUESTS.into_response();
            }
            let session = OkxSession::new(route, &hub.limits);
            upgrade(hub, sockets, handshake, Exchange::Okx, None, session).await
        });
        router = router.route(path, handler);
    }
    router
}

pub(crate) fn refusal(status: StatusCode) -> String {
    let (code, msg) = match status.as_u16() {
        429 | 418 => ("50011", "Too Many Requests"),
        451 => ("50039", "Service unavailable in your region"),
        _ => ("50035", "Forbidden"),
    };
    json!({ "code": code, "msg": msg, "data": [] }).to_string()
}

/// `notice` 64008, about a minute before the exchange closes a connection.
pub(crate) fn announce_shutdown(connection: &Connection) -> bool {
    let notice = json!({
        "event": "notice", "code": "64008", "connId": frames::connection_id(connection),
        "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
    });
    connection.announce(notice.to_string())
}

/// The next update of each book has a smaller `seqId` than the one before it.
pub(crate) fn maintenance(hub: &Hub, selector: &Selector) -> usize {
    let Some(generator) = hub.generator() else { return 0 };
    let meant =
        hub.catalogue.selected(selector).into_iter().filter(|&index| {
            hub.catalogue.get(index).is_some_and(|one| one.market.exchange() == Exchange::Okx)
        });
    meant.map(|index| generator.reset_ids(index)).count()
}
