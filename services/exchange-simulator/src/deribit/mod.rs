//! Deribit's wire protocol: JSON-RPC on `/ws/api/v2` and, the same methods, on `/api/v2/public/…`. What a folder provides
//! is said in `exchange.rs`.

mod bars;
mod channel;
mod credits;
mod frames;
mod heartbeat;
mod listing;
mod methods;
mod number;
mod publish;
mod quote;
mod routes;
mod rpc;
mod session;
mod state;
mod ticker;

use axum::http::StatusCode;
use serde_json::{Value, json};

pub(crate) use publish::publish;
pub(crate) use routes::{rest, sockets};
pub(crate) use state::{State, listing_changed, maintenance};

use crate::connection::Connection;
use crate::exchange::Market;
use crate::instrument::Instrument;

pub(crate) fn instruments(_market: Market) -> Vec<Instrument> {
    listing::instruments()
}

/// What stands before the exchange itself refuses in plain text; only the rate limit is its own.
pub(crate) fn refusal(status: StatusCode) -> String {
    match status.as_u16() {
        451 | 403 => json!({ "message": "access denied from this location" }).to_string(),
        _ => rpc::answer(&Value::Null, &Err(rpc::RpcError::too_many_requests()), 0, 0),
    }
}

/// The exchange announces no end of a single connection: see [`maintenance`].
pub(crate) fn announce_shutdown(_connection: &Connection) -> bool {
    false
}
