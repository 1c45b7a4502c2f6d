//! Binance USDⓈ-M futures: the integration's constants. Behaviour is in the session.

use std::time::Duration;

use marketprism_core::{DataType, MarketType};

use super::market::{Chain, Market, TradeStream, TradesRest};
use super::session::BinanceSession;
use crate::registry::{
    ConnectLimit, ConnectionPath, InstrumentsRequest, Integration, RestLimit, SessionOptions,
};

/// USDⓈ-M perpetuals, `https://developers.binance.com/docs/derivatives/usds-margined-futures`.
pub(crate) const INTEGRATION: Integration = Integration {
    id: "binance_usdm",
    exchange: super::EXCHANGE,
    market_types: &[MarketType::Perpetual],
    symbols_default: &["BTC-USDT", "ETH-USDT"],
    ws_url: "wss://fstream.binance.com",
    rest_url: "https://fapi.binance.com",
    instruments_requests: &[InstrumentsRequest {
        path: "/fapi/v1/exchangeInfo",
        weight: 1,
        limit: super::WEIGHT,
    }],
    rest_limits: &[RestLimit {
        name: super::WEIGHT,
        weight: 2400,
        per: Duration::from_secs(60),
        used_header: Some("x-mbx-used-weight-1m"),
    }],
    // Not stated for futures streams; spot's limit.
    connect_limit: ConnectLimit { attempts: 300, per: Duration::from_secs(300), open_max: None },
    connection_life_max: Some(Duration::from_secs(24 * 3600)),
    silence_max: super::SILENCE_MAX,
    streams_per_connection_max: 1024,
    books_per_connection_max: None,
    subscribe_rate: super::SUBSCRIBE_RATE,
    data_types: &[DataType::Trade, DataType::OrderBook],
    offers: |_, _| true,
    paths,
    instruments: super::instruments::usdm,
    open: |config| Box::new(BinanceSession::new(&MARKET, config)),
};

static MARKET: Market = Market {
    chain: Chain::Linked,
    // `trade` is undocumented here and can disappear without notice.
    trade_stream_default: TradeStream::Aggregate,
    depth_path: "/fapi/v1/depth",
    depth_weights: &[(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)],
    depth_sizes_exact: true,
    trades_rest: TradesRest { path: "/fapi/v1/historicalTrades", limit: 500, weight: 20 },
    aggregates_rest: TradesRest { path: "/fapi/v1/aggTrades", limit: 1000, weight: 20 },
};

const PUBLIC: &str = "/public/stream";
const MARKET_DATA: &str = "/market/stream";

/// Which stream is served where. A stream asked for on the wrong path is acknowledged and stays silent for ever.
fn paths(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath> {
    let trade_stream = TradeStream::chosen(options.trade_stream.as_deref(), MARKET.trade_stream_default);
    let path_of = |data_type: DataType| match (data_type, trade_stream) {
        (DataType::OrderBook, _) | (DataType::Trade, TradeStream::Trade) => PUBLIC,
        _ => MARKET_DATA,
    };
    [("public", PUBLIC), ("market", MARKET_DATA)]
        .into_iter()
        .map(|(name, path)| ConnectionPath {
            name,
            path: Some(path),
            data_types: data_types.iter().copied().filter(|data_type| path_of(*data_type) == path).collect(),
        })
        .filter(|connection| !connection.data_types.is_empty())
        .collect()
}
