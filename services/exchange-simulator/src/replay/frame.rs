//! A captured frame: which stream it belongs to, and what the ledger and REST must know of it. The frame itself is
//! passed on as recorded.

use std::borrow::Cow;

use compact_str::CompactString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::capture::Malformed;
use crate::binance::product::Product;
use crate::binance::stream_name::feed_of;
use crate::event::{AggregateTrade, Origin, PriceLevel, Touch, Trade};
use crate::record::{BestBidAskRecord, OrderBookRecord, Record};
use crate::streams::Feed;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A frame taken out of its envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captured<'a> {
    pub(crate) feed: Feed,
    pub(crate) data: &'a str,
}

/// Splits the envelope. `Ok(None)`: a stream that is not served here (klines).
///
/// # Errors
/// When it is not an envelope.
pub(crate) fn open(text: &str, product: Product) -> Result<Option<(String, Captured<'_>)>, Malformed> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| Malformed)?;
    let (symbol, channel) = envelope.stream.split_once('@').ok_or(Malformed)?;
    Ok(feed_of(channel, product)
        .map(|feed| (symbol.to_uppercase(), Captured { feed, data: envelope.data.get() })))
}

/// What a captured frame tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Trade(Trade),
    Aggregate(AggregateTrade),
    Book(Record),
}

/// Reads what the ledger and REST history need.
///
/// # Errors
/// When a field of the feed's documented shape is missing or of another type.
pub(crate) fn read(captured: Captured<'_>) -> Result<Told, Malformed> {
    match captured.feed {
        Feed::Trade => from_json(captured.data).map(|wire: WireTrade| Told::Trade(wire.into())),
        Feed::AggregateTrade => {
            from_json(captured.data).map(|wire: WireAggregate| Told::Aggregate(wire.into()))
        }
        Feed::Depth => from_json(captured.data).map(|wire: WireDiff| {
            Told::Book(Record::OrderBook(OrderBookRecord {
                snapshot: false,
                first_update_id: Some(wire.first),
                previous_update_id: None,
                last_update_id: wire.last,
                touch: None,
                ts_event_us: None,
            }))
        }),
        Feed::BookTicker => from_json(captured.data).map(|wire: WireTicker| {
            let best_bid: PriceLevel = (wire.bid_price, wire.bid_quantity);
            let best_ask: PriceLevel = (wire.ask_price, wire.ask_quantity);
            let touch = Touch { best_bid, best_ask };
            Told::Book(Record::BestBidAsk(BestBidAskRecord { update_id: wire.update_id, touch }))
        }),
        // Passed on as recorded; neither ledger nor REST has them.
        Feed::MarkPrice
        | Feed::MarkPrices
        | Feed::FundingRate
        | Feed::OpenInterest
        | Feed::Liquidation
        | Feed::ForeignLiquidation
        | Feed::Ticker
        | Feed::VolatilityIndex
        | Feed::Instruments
        | Feed::Platform => Ok(Told::Book(Record::Unrecorded)),
    }
}

fn from_json<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(data).map_err(|_| Malformed)
}

#[derive(Deserialize)]
struct WireTrade {
    t: u64,
    p: CompactString,
    q: CompactString,
    #[serde(rename = "T")]
    time_ms: i64,
    m: bool,
    #[serde(rename = "X", default)]
    origin: Option<CompactString>,
}

impl From<WireTrade> for Trade {
    /// Only `X:"NA"` with price zero is a placeholder; insurance-fund and ADL prints are trades.
    fn from(wire: WireTrade) -> Self {
        let is_zero = wire.p.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let is_placeholder = is_zero && wire.origin.as_deref() == Some("NA");
        Self {
            id: wire.t,
            price: wire.p,
            quantity: wire.q,
            buyer_is_maker: wire.m,
            time_ms: wire.time_ms,
            origin: if is_placeholder { Origin::Placeholder } else { Origin::Market },
        }
    }
}

#[derive(Deserialize)]
struct WireAggregate {
    a: u64,
    p: CompactString,
    q: CompactString,
    f: u64,
    l: u64,
    #[serde(rename = "T")]
    time_ms: i64,
    m: bool,
}

impl From<WireAggregate> for AggregateTrade {
    fn from(wire: WireAggregate) -> Self {
        Self {
            id: wire.a,
            first_trade_id: wire.f,
            last_trade_id: wire.l,
            price: wire.p,
            quantity: wire.q,
            buyer_is_maker: wire.m,
            time_ms: wire.time_ms,
        }
    }
}

#[derive(Deserialize)]
struct WireDiff {
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
}

#[derive(Deserialize)]
struct WireTicker {
    #[serde(rename = "u")]
    update_id: u64,
    #[serde(rename = "b")]
    bid_price: CompactString,
    #[serde(rename = "B")]
    bid_quantity: CompactString,
    #[serde(rename = "a")]
    ask_price: CompactString,
    #[serde(rename = "A")]
    ask_quantity: CompactString,
}
