//! The facts of an instrument at one moment, as `ticker.…`, `get_order_book` and `get_book_summary_by_currency` show them.

use serde::Serialize;

use super::listing::{price_index, settlement_currency};
use super::number::Number;
use super::quote::Quote;
use crate::event::PriceLevel;
use crate::instrument::{Instrument, MarketType};

/// The fields of `ticker.…`; those that the kind of instrument does not have are absent.
#[derive(Debug, Serialize)]
pub(crate) struct Ticker<'a> {
    timestamp: i64,
    state: &'static str,
    instrument_name: &'a str,
    index_price: Number,
    mark_price: Number,
    last_price: Option<Number>,
    estimated_delivery_price: Number,
    open_interest: Number,
    best_bid_price: Option<Number>,
    best_bid_amount: Number,
    best_ask_price: Option<Number>,
    best_ask_amount: Number,
    #[serde(flatten)]
    perpetual: Option<Perpetual>,
    #[serde(flatten)]
    option: Option<OptionFacts>,
}

#[derive(Debug, Serialize)]
struct Perpetual {
    current_funding: Number,
    funding_8h: Number,
}

/// What an option has instead. The values stand still: no one here trades on them.
#[derive(Debug, Serialize)]
struct OptionFacts {
    mark_iv: Number,
    bid_iv: Number,
    ask_iv: Number,
    underlying_price: Number,
    underlying_index: &'static str,
    interest_rate: Number,
}

impl<'a> Ticker<'a> {
    pub(crate) fn of(instrument: &'a Instrument, quote: &Quote) -> Self {
        let price = |level: Option<&PriceLevel>| level.map(|(price, _)| Number::float(price));
        let amount = |level: Option<&PriceLevel>| Number::float(level.map_or("0", |(_, amount)| amount));
        let (bid, ask) = (quote.book.bids.first(), quote.book.asks.first());
        let index_price = || Number::float(&quote.index_price);
        Self {
            timestamp: quote.time_ms,
            state: "open",
            instrument_name: &instrument.instrument_id,
            index_price: index_price(),
            mark_price: Number::float(&quote.mark.mark_price),
            last_price: quote.last_price.as_deref().map(Number::float),
            estimated_delivery_price: index_price(),
            open_interest: Number::shortest(&quote.open_interest.quantity),
            best_bid_price: price(bid),
            best_bid_amount: amount(bid),
            best_ask_price: price(ask),
            best_ask_amount: amount(ask),
            perpetual: quote.mark.funding_rate.as_deref().map(|funding| Perpetual {
                current_funding: Number::float(funding),
                funding_8h: Number::float(funding),
            }),
            option: (instrument.market_type == MarketType::Options).then(|| OptionFacts {
                mark_iv: Number::float("41.7"),
                bid_iv: Number::float("40.9"),
                ask_iv: Number::float("42.5"),
                underlying_price: index_price(),
                underlying_index: "BTC-25DEC26",
                interest_rate: Number::float("0"),
            }),
        }
    }
}

/// The answer of `get_order_book`: a ticker with the levels and their id.
#[derive(Debug, Serialize)]
pub(crate) struct OrderBook<'a> {
    change_id: u64,
    bids: Vec<(Number, Number)>,
    asks: Vec<(Number, Number)>,
    #[serde(flatten)]
    ticker: Ticker<'a>,
}

impl<'a> OrderBook<'a> {
    pub(crate) fn of(instrument: &'a Instrument, quote: &Quote) -> Self {
        let levels = |side: &[PriceLevel]| {
            side.iter().map(|(price, amount)| (Number::float(price), Number::float(amount))).collect()
        };
        Self {
            change_id: quote.book.last_update_id,
            bids: levels(&quote.book.bids),
            asks: levels(&quote.book.asks),
            ticker: Ticker::of(instrument, quote),
        }
    }
}

/// A row of `get_book_summary_by_currency`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    creation_timestamp: i64,
    base_currency: &'a str,
    quote_currency: &'a str,
    settlement_currency: &'a str,
    underlying_index: String,
    #[serde(flatten)]
    ticker: Ticker<'a>,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(instrument: &'a Instrument, quote: &Quote) -> Self {
        Self {
            creation_timestamp: quote.time_ms,
            base_currency: &instrument.base,
            quote_currency: &instrument.quote,
            settlement_currency: settlement_currency(instrument),
            underlying_index: price_index(instrument),
            ticker: Ticker::of(instrument, quote),
        }
    }
}
