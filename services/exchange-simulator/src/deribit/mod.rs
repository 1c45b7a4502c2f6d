//! Deribit's wire protocol. What a folder provides is said in `exchange.rs`.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use crate::connection::Connection;
use crate::event::Event;
use crate::exchange::Market;
use crate::fault::Selector;
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::server::Sockets;

pub(crate) fn instruments(_market: Market) -> Vec<Instrument> {
    Vec::new()
}

pub(crate) fn sockets(_sockets: &Sockets) -> Router<Arc<Hub>> {
    Router::new()
}

pub(crate) fn rest() -> Router<Arc<Hub>> {
    Router::new().route("/api/v2/public/test", axum::routing::get(|| async { "{}" }))
}

pub(crate) async fn publish(_hub: &Hub, _index: usize, _instrument: &Instrument, _event: Event) -> u64 {
    1
}

pub(crate) async fn listing_changed(_hub: &Hub, _index: usize) {}

pub(crate) fn refusal(_status: StatusCode) -> String {
    String::new()
}

pub(crate) fn announce_shutdown(_connection: &Connection) -> bool {
    false
}

pub(crate) fn maintenance(_hub: &Hub, _selector: &Selector) -> usize {
    0
}
