//! Binance's wire protocol: spot and USDⓈ-M. What a folder provides is said in `exchange.rs`.

pub(crate) mod budget;
mod exchange_info;
pub(crate) mod frames;
pub(crate) mod listing;
mod mark_frames;
mod pings;
pub(crate) mod product;
mod publish;
mod refusal;
mod requests;
mod rest;
mod routes;
mod session;
mod statistics;
pub(crate) mod stream_name;

use axum::http::StatusCode;
use serde_json::json;

use crate::clock::now_ms;
use crate::connection::Connection;
use crate::exchange::Market;
use crate::fault::Selector;
use crate::hub::Hub;
use crate::instrument::{Instrument, MarketType};
pub(crate) use publish::publish;
pub(crate) use routes::{rest, sockets};

pub(crate) fn instruments(market: Market) -> Vec<Instrument> {
    let product = if market == Market::BinanceSpot { product::Product::Spot } else { product::Product::Usdm };
    listing::instruments(product)
}

/// The market type that a REST path is about.
pub(crate) fn market_type_of_path(path: &str) -> Option<MarketType> {
    Some(if path.starts_with("/api/v3/") { MarketType::Spot } else { MarketType::Perpetual })
}

pub(crate) fn refusal(status: StatusCode) -> String {
    let (code, msg) = match status.as_u16() {
        451 => (0, "Service unavailable from a restricted location according to 'b. Eligibility'."),
        403 => (0, "Forbidden by the web application firewall."),
        _ => (-1003, "Too many requests; current limit is exceeded."),
    };
    json!({ "code": code, "msg": msg }).to_string()
}

pub(crate) fn announce_shutdown(connection: &Connection) -> bool {
    let event = json!({ "e": "serverShutdown", "E": now_ms() }).to_string();
    let text = if connection.is_combined() { frames::combined("!serverShutdown", &event) } else { event };
    connection.announce(text)
}

/// Binance only announces a maintenance; books and ids go on.
pub(crate) fn maintenance(hub: &Hub, selector: &Selector) -> usize {
    let connections = hub.connections.selected(selector);
    connections
        .iter()
        .filter(|one| one.exchange == crate::exchange::Exchange::Binance)
        .filter(|one| announce_shutdown(one))
        .count()
}
