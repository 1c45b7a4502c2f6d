//! Deribit: the integration's constants. Behaviour is in the session.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType};

use super::instruments::{is_volatility_index, trading};
use super::session::DeribitSession;
use super::{CREDITS, EXCHANGE, SILENCE_MAX, polled, subscriptions};
use crate::polled::PolledSession;
use crate::registry::{
    BookMode, ConnectLimit, ConnectionPath, InstrumentsRequest, Integration, RestLimit, SessionConfig,
    SessionOptions, SubscribeRate,
};

/// The limit of the instrument lists.
const LISTS: &str = "lists";
/// What one of them costs.
const LIST_CREDITS: u32 = 10_000;

/// `https://docs.deribit.com`. One socket serves every instrument.
pub(crate) const INTEGRATION: Integration = Integration {
    id: EXCHANGE,
    exchange: EXCHANGE,
    market_types: &[MarketType::Options, MarketType::Perpetual, MarketType::Futures],
    symbols_default: &["BTC", "ETH", "BTC-USD", "ETH-USD"],
    ws_url: "wss://www.deribit.com",
    rest_url: "https://www.deribit.com",
    instruments_requests: &[
        InstrumentsRequest {
            path: "/api/v2/public/get_instruments?currency=any&kind=future",
            weight: LIST_CREDITS,
            limit: LISTS,
        },
        InstrumentsRequest {
            path: "/api/v2/public/get_instruments?currency=any&kind=option",
            weight: LIST_CREDITS,
            limit: LISTS,
        },
    ],
    // What is refilled: the exchange allows bursts of five times as much, and of fifty lists.
    rest_limits: &[
        RestLimit { name: CREDITS, weight: 10_000, per: Duration::from_secs(1), used_header: None },
        RestLimit { name: LISTS, weight: 2 * LIST_CREDITS, per: Duration::from_secs(2), used_header: None },
    ],
    // 32 at once from one address, REST's among them.
    connect_limit: ConnectLimit { attempts: 5, per: Duration::from_secs(5), open_max: Some(24) },
    connection_life_max: None,
    silence_max: SILENCE_MAX,
    // No limit is stated; a slow reader is thrown out, and a thousand books are what one reads easily.
    streams_per_connection_max: 2_000,
    books_per_connection_max: None,
    subscribe_rate: SubscribeRate {
        streams: subscriptions::CHANNELS_PER_CALL_MAX,
        per: Duration::from_micros(subscriptions::CALL_MICROS_MIN.unsigned_abs()),
    },
    data_types: &[
        DataType::VolatilityIndex,
        DataType::Trade,
        DataType::OrderBook,
        DataType::FundingRate,
        DataType::OpenInterest,
    ],
    offers,
    paths,
    instruments: trading,
    open: |config| {
        if is_polled(&config) {
            Box::new(PolledSession::new(polled::POLLED, offers, config))
        } else {
            Box::new(DeribitSession::new(config))
        }
    },
};

/// Which instrument has what.
pub(super) fn offers(instrument: &Instrument, data_type: DataType) -> bool {
    match data_type {
        DataType::VolatilityIndex => is_volatility_index(instrument),
        DataType::FundingRate => instrument.market_type == MarketType::Perpetual,
        DataType::Trade | DataType::OrderBook | DataType::OpenInterest => !is_volatility_index(instrument),
        // Liquidations are not told when they happen.
        DataType::Liquidation | DataType::LsrTopPosition | DataType::LsrAllAccount | DataType::Gap => false,
    }
}

/// One socket for all that is pushed; books in `snapshot` mode are polled.
fn paths(data_types: &[DataType], options: &SessionOptions) -> Vec<ConnectionPath> {
    let is_polled =
        |data_type: &DataType| options.book_mode == BookMode::Snapshot && *data_type == DataType::OrderBook;
    let (polled, pushed): (Vec<_>, Vec<_>) = data_types.iter().copied().partition(is_polled);
    let path = |name, path, data_types| ConnectionPath { name, path, data_types };
    [path("stream", Some("/ws/api/v2"), pushed), path("rest", None, polled)]
        .into_iter()
        .filter(|path| !path.data_types.is_empty())
        .collect()
}

fn is_polled(config: &SessionConfig) -> bool {
    paths(&config.data_types, &config.options).iter().all(|path| path.path.is_none())
}
