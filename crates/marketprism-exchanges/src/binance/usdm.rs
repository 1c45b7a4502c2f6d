//! Binance USDⓈ-M futures: the integration's constants. Behaviour is in the session.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType};

use super::market::{self, Chain, Market, TradeStream, TradesRest};
use super::polled;
use crate::polled::Polled;
use crate::registry::{
    ConnectLimit, ConnectionPath, InstrumentsRequest, Integration, RestLimit, SessionOptions,
};

/// USDⓈ-M perpetual and dated contracts, `https://developers.binance.com/docs/derivatives/usds-margined-futures`.
pub(crate) const INTEGRATION: Integration = Integration {
    id: "binance_usdm",
    exchange: super::EXCHANGE,
    market_types: &[MarketType::Perpetual, MarketType::Futures],
    symbols_default: &["BTC-USDT", "ETH-USDT"],
    ws_url: "wss://fstream.binance.com",
    rest_url: "https://fapi.binance.com",
    instruments_requests: &[InstrumentsRequest {
        path: "/fapi/v1/exchangeInfo",
        weight: 1,
        limit: super::WEIGHT,
    }],
    rest_limits: &[
        RestLimit {
            name: super::WEIGHT,
            weight: 2400,
            per: Duration::from_secs(60),
            used_header: Some("x-mbx-used-weight-1m"),
        },
        RestLimit { name: super::STATISTICS, weight: 1000, per: Duration::from_secs(300), used_header: None },
        RestLimit { name: super::FUNDING, weight: 500, per: Duration::from_secs(300), used_header: None },
    ],
    // Not stated for futures streams; spot's limit.
    connect_limit: ConnectLimit { attempts: 300, per: Duration::from_secs(300), open_max: None },
    connection_life_max: Some(Duration::from_secs(24 * 3600)),
    silence_max: super::SILENCE_MAX,
    streams_per_connection_max: 1024,
    books_per_connection_max: None,
    subscribe_rate: super::SUBSCRIBE_RATE,
    data_types: DATA_TYPES,
    offers,
    paths,
    instruments: super::instruments::usdm,
    open: |config| MARKET.open(config),
};

const DATA_TYPES: &[DataType] = &[
    DataType::Trade,
    DataType::OrderBook,
    DataType::FundingRate,
    DataType::OpenInterest,
    DataType::Liquidation,
    DataType::LsrTopPosition,
    DataType::LsrAllAccount,
];

static MARKET: Market = Market {
    offers,
    polled: &[
        Polled {
            data_type: DataType::OpenInterest,
            call: polled::open_interest_call,
            read: polled::open_interest,
        },
        Polled {
            data_type: DataType::LsrTopPosition,
            call: polled::top_position_call,
            read: polled::top_position,
        },
        Polled {
            data_type: DataType::LsrAllAccount,
            call: polled::all_account_call,
            read: polled::all_account,
        },
        Polled {
            data_type: DataType::OrderBook,
            call: |instrument, options| MARKET.snapshot(&instrument.instrument_id, options.book_depth),
            read: polled::book,
        },
    ],
    chain: Chain::Linked,
    // `trade` is undocumented here and can disappear without notice.
    trade_stream_default: TradeStream::Aggregate,
    depth_path: "/fapi/v1/depth",
    depth_weights: &[(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)],
    depth_sizes_exact: true,
    trades_rest: TradesRest { path: "/fapi/v1/historicalTrades", limit: 500, weight: 20 },
    aggregates_rest: TradesRest { path: "/fapi/v1/aggTrades", limit: 1000, weight: 20 },
};

/// Dated contracts are not funded, and the ratios are told of perpetual ones only.
fn offers(instrument: &Instrument, data_type: DataType) -> bool {
    let is_of_every_contract = matches!(
        data_type,
        DataType::Trade | DataType::OrderBook | DataType::OpenInterest | DataType::Liquidation
    );
    is_of_every_contract
        || (instrument.market_type == MarketType::Perpetual && DATA_TYPES.contains(&data_type))
}

const PUBLIC: &str = "/public/stream";
const MARKET_DATA: &str = "/market/stream";

/// Which stream is served where. A stream asked for on the wrong path is acknowledged and stays silent for ever.
fn paths(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath> {
    let trade_stream = MARKET.trade_stream(options);
    let path_of = |data_type: DataType| match (data_type, trade_stream) {
        _ if market::is_polled(data_type, options) => None,
        (DataType::OrderBook, _) | (DataType::Trade, TradeStream::Trade) => Some(PUBLIC),
        _ => Some(MARKET_DATA),
    };
    let pushed =
        [("public", PUBLIC), ("market", MARKET_DATA)].into_iter().map(|(name, path)| ConnectionPath {
            name,
            path: Some(path),
            data_types: data_types
                .iter()
                .copied()
                .filter(|data_type| path_of(*data_type) == Some(path))
                .collect(),
        });
    let pushed = pushed.filter(|connection| !connection.data_types.is_empty());
    pushed.chain(market::polled_path(data_types, options)).collect()
}
