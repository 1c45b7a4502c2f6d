//! Binance spot: the integration's constants. Behaviour is in the session.

use std::time::Duration;

use marketprism_core::{DataType, MarketType};

use super::market::{Chain, Market, TradeStream, TradesRest};
use super::session::BinanceSession;
use crate::registry::{ConnectionPath, Integration};

/// Spot, `https://developers.binance.com/docs/binance-spot-api-docs`.
pub(crate) const INTEGRATION: Integration = Integration {
    id: "binance_spot",
    exchange: super::EXCHANGE,
    market_type: MarketType::Spot,
    ws_url: "wss://stream.binance.com:9443",
    rest_url: "https://api.binance.com",
    instruments_path: "/api/v3/exchangeInfo?showPermissionSets=false",
    instruments_weight: 20,
    rest_weight_per_minute: MARKET.rest_weight_per_minute,
    connects_per_five_minutes: 300,
    connection_life_max: Duration::from_secs(24 * 3600),
    silence_max: super::SILENCE_MAX,
    streams_per_connection_max: 1024,
    data_types: &[DataType::Trade, DataType::OrderBook],
    // One path carries every stream.
    paths: |data_types, _| vec![ConnectionPath { path: "/stream", data_types: data_types.to_vec() }],
    instruments: super::instruments::spot,
    open: |config| Box::new(BinanceSession::new(&MARKET, config)),
};

static MARKET: Market = Market {
    chain: Chain::Dense,
    trade_stream_default: TradeStream::Trade,
    depth_path: "/api/v3/depth",
    depth_weights: &[(100, 5), (500, 25), (1000, 50), (5000, 250)],
    depth_sizes_exact: false,
    trades_rest: TradesRest { path: "/api/v3/historicalTrades", limit: 1000, weight: 25 },
    aggregates_rest: TradesRest { path: "/api/v3/aggTrades", limit: 1000, weight: 4 },
    rest_weight_per_minute: 6000,
};
