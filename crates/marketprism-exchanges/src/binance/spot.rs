//! Binance spot: the integration's constants. Behaviour is in the session.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType};

use super::market::{self, Chain, Market, TradeStream, TradesRest};
use super::polled;
use crate::polled::Polled;
use crate::registry::{
    ConnectLimit, ConnectionPath, InstrumentsRequest, Integration, RestLimit, SessionOptions,
};

/// Spot, `https://developers.binance.com/docs/binance-spot-api-docs`.
pub(crate) const INTEGRATION: Integration = Integration {
    id: "binance_spot",
    exchange: super::EXCHANGE,
    market_types: &[MarketType::Spot],
    symbols_default: &["BTC-USDT", "ETH-USDT"],
    ws_url: "wss://stream.binance.com:9443",
    rest_url: "https://api.binance.com",
    instruments_requests: &[InstrumentsRequest {
        path: "/api/v3/exchangeInfo?showPermissionSets=false",
        weight: 20,
        limit: super::WEIGHT,
    }],
    rest_limits: &[RestLimit {
        name: super::WEIGHT,
        weight: 6000,
        per: Duration::from_secs(60),
        used_header: Some("x-mbx-used-weight-1m"),
    }],
    connect_limit: ConnectLimit { attempts: 300, per: Duration::from_secs(300), open_max: None },
    connection_life_max: Some(Duration::from_secs(24 * 3600)),
    silence_max: super::SILENCE_MAX,
    streams_per_connection_max: 1024,
    books_per_connection_max: None,
    subscribe_rate: super::SUBSCRIBE_RATE,
    data_types: &[DataType::Trade, DataType::OrderBook],
    offers,
    paths,
    instruments: super::instruments::spot,
    open: |config| MARKET.open(config),
};

static MARKET: Market = Market {
    offers,
    polled: &[Polled {
        data_type: DataType::OrderBook,
        call: |instrument, options| MARKET.snapshot(&instrument.instrument_id, options.book_depth),
        read: polled::book,
    }],
    chain: Chain::Dense,
    trade_stream_default: TradeStream::Trade,
    depth_path: "/api/v3/depth",
    depth_weights: &[(100, 5), (500, 25), (1000, 50), (5000, 250)],
    depth_sizes_exact: false,
    trades_rest: TradesRest { path: "/api/v3/historicalTrades", limit: 1000, weight: 25 },
    aggregates_rest: TradesRest { path: "/api/v3/aggTrades", limit: 1000, weight: 4 },
};

fn offers(_: &Instrument, data_type: DataType) -> bool {
    INTEGRATION.data_types.contains(&data_type)
}

/// One path carries every stream.
fn paths(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath> {
    let pushed = data_types.iter().copied().filter(|data_type| !market::is_polled(*data_type, options));
    let stream = ConnectionPath { name: "stream", path: Some("/stream"), data_types: pushed.collect() };
    let stream = Some(stream).filter(|path| !path.data_types.is_empty());
    stream.into_iter().chain(market::polled_path(data_types, options)).collect()
}
