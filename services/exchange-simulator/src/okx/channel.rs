//! OKX's channels: `{"channel":"books","instId":"BTC-USDT-SWAP"}`, and which streams stand behind them.

use serde::Deserialize;

use super::instrument_type::InstrumentType;
use crate::catalogue::Catalogue;
use crate::exchange::{Exchange, Market};
use crate::instrument::{Instrument, MarketType};
use crate::streams::{Feed, Stream};

/// Which URL a connection came in by: `/ws/v5/public` or `/ws/v5/business`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Public,
    Business,
}

/// One argument of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Arg {
    pub(crate) channel: String,
    pub(crate) inst_id: Option<String>,
    pub(crate) inst_type: Option<String>,
}

impl Arg {
    /// The argument as acknowledgements and pushes repeat it, and subscriptions are found by.
    pub(crate) fn name(&self) -> String {
        let (key, value) = self.of();
        format!(r#"{{"channel":"{}","{key}":"{value}"}}"#, self.channel)
    }

    /// What it is of: key and value, the instrument before its type.
    pub(crate) fn of(&self) -> (&'static str, &str) {
        match (&self.inst_id, &self.inst_type) {
            (Some(id), _) => ("instId", id),
            (None, Some(kind)) => ("instType", kind),
            (None, None) => ("instId", "null"),
        }
    }
}

/// A channel that exists here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Books,
    BestBidAsk,
    Trades,
    TradesAll,
    Tickers,
    FundingRate,
    OpenInterest,
    MarkPrice,
    LiquidationOrders,
    Instruments,
}

/// What an argument means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) channel: Channel,
    /// One stream, or one of each instrument where the channel is of an instrument type.
    pub(crate) streams: Vec<Stream>,
}

impl Channel {
    fn of(name: &str, route: Route) -> Option<Self> {
        Some(match (name, route) {
            ("books", Route::Public) => Self::Books,
            ("bbo-tbt", Route::Public) => Self::BestBidAsk,
            ("trades", Route::Public) => Self::Trades,
            ("trades-all", Route::Business) => Self::TradesAll,
            ("tickers", Route::Public) => Self::Tickers,
            ("funding-rate", Route::Public) => Self::FundingRate,
            ("open-interest", Route::Public) => Self::OpenInterest,
            ("mark-price", Route::Public) => Self::MarkPrice,
            ("liquidation-orders", Route::Public) => Self::LiquidationOrders,
            ("instruments", Route::Public) => Self::Instruments,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::BestBidAsk => "bbo-tbt",
            Self::Trades => "trades",
            Self::TradesAll => "trades-all",
            Self::Tickers => "tickers",
            Self::FundingRate => "funding-rate",
            Self::OpenInterest => "open-interest",
            Self::MarkPrice => "mark-price",
            Self::LiquidationOrders => "liquidation-orders",
            Self::Instruments => "instruments",
        }
    }

    pub(crate) fn feed(self) -> Feed {
        match self {
            Self::Books => Feed::Depth,
            Self::BestBidAsk => Feed::BookTicker,
            Self::Trades => Feed::AggregateTrade,
            Self::TradesAll => Feed::Trade,
            Self::Tickers => Feed::Ticker,
            Self::FundingRate => Feed::FundingRate,
            Self::OpenInterest => Feed::OpenInterest,
            Self::MarkPrice => Feed::MarkPrice,
            Self::LiquidationOrders => Feed::Liquidation,
            Self::Instruments => Feed::Instruments,
        }
    }

    fn is_of_a_type(self) -> bool {
        matches!(self, Self::LiquidationOrders | Self::Instruments)
    }

    fn exists_for(self, instrument: &Instrument) -> bool {
        match instrument.market_type {
            MarketType::Spot => !matches!(self, Self::FundingRate | Self::OpenInterest | Self::MarkPrice),
            MarketType::Perpetual => true,
            MarketType::Futures | MarketType::Options => self != Self::FundingRate,
        }
    }
}

/// What `arg` means on `route`; `None` is the error 60018.
pub(crate) fn resolve(arg: &Arg, route: Route, catalogue: &Catalogue) -> Option<Resolved> {
    let channel = Channel::of(&arg.channel, route)?;
    let feed = channel.feed();
    if channel.is_of_a_type() {
        let wanted = InstrumentType::parse(arg.inst_type.as_deref()?)?;
        // Those that are not listed yet, too: they may come.
        let streams =
            catalogue.all().iter().enumerate().filter(|(_, one)| {
                one.market.exchange() == Exchange::Okx && InstrumentType::of(one) == wanted
            });
        let streams = streams.map(|(instrument, _)| Stream { instrument, feed }).collect();
        return Some(Resolved { channel, streams });
    }
    let instrument_id = arg.inst_id.as_deref()?;
    let instrument = find(catalogue, instrument_id)?;
    catalogue.get(instrument).filter(|one| channel.exists_for(one))?;
    Some(Resolved { channel, streams: vec![Stream { instrument, feed }] })
}

/// The listed instrument of that name: ids of spot and derivatives do not meet.
pub(crate) fn find(catalogue: &Catalogue, instrument_id: &str) -> Option<usize> {
    Market::of(Exchange::Okx).find_map(|market| catalogue.find(market, instrument_id))
}

/// `{"channel":"books","instId":"BTC-USDT"}`.
pub(crate) fn arg_of_instrument(channel: Channel, instrument_id: &str) -> String {
    format!(r#"{{"channel":"{}","instId":"{instrument_id}"}}"#, channel.name())
}

/// `{"channel":"liquidation-orders","instType":"SWAP"}`.
pub(crate) fn arg_of_type(channel: Channel, instrument_type: InstrumentType) -> String {
    format!(r#"{{"channel":"{}","instType":"{}"}}"#, channel.name(), instrument_type.as_str())
}
