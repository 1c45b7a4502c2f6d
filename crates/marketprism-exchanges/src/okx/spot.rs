//! OKX spot: the integration's constants. Behaviour is in the session.

use marketprism_core::{DataType, MarketType};

use super::{instruments, limits};
use crate::registry::{InstrumentsRequest, Integration};

/// Spot, `https://www.okx.com/docs-v5`.
pub(crate) static INTEGRATION: Integration = Integration {
    id: "okx_spot",
    exchange: super::EXCHANGE,
    market_types: &[MarketType::Spot],
    symbols_default: &["BTC-USDT", "ETH-USDT"],
    ws_url: super::WS_URL,
    rest_url: super::REST_URL,
    instruments_requests: &[InstrumentsRequest {
        path: "/api/v5/public/instruments?instType=SPOT",
        weight: 1,
        limit: limits::INSTRUMENTS,
    }],
    rest_limits: limits::REST,
    connect_limit: limits::CONNECT,
    connection_life_max: None,
    silence_max: limits::SILENCE_MAX,
    streams_per_connection_max: limits::STREAMS_PER_CONNECTION_MAX,
    books_per_connection_max: Some(limits::BOOKS_PER_CONNECTION_MAX),
    subscribe_rate: limits::SUBSCRIBE,
    data_types: &[DataType::Trade, DataType::OrderBook],
    offers: |_, _| true,
    paths: super::paths,
    instruments: instruments::read,
    open: |config| super::open(&INTEGRATION, config),
};
