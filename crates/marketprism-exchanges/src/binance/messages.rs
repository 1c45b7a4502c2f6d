//! The trades on the wire, on the socket and from REST, each with the exchange's payload in its doc. Texts are
//! borrowed from the frame; decimals are parsed from its bytes.

use std::borrow::Cow;

use marketprism_core::{Decimal, TakerSide, Timestamp};
use serde::Deserialize;

use super::market::TradeStream;
use crate::decode::{from_slice, from_str, millis};
use crate::session::Rejected;
use crate::trade_line::Print;

/// ```json
/// {"e":"trade","E":1787315652708,"s":"BTCUSDT","t":6595931385,"p":"76650.00000000","q":"0.00040000","T":1787315652707,"m":true,"M":true}
/// ```
/// USDⓈ-M adds the kind of order, `NA` for a placeholder of price 0 that uses up an id:
/// ```json
/// {"e":"trade","E":1785780046072,"T":1785780046071,"s":"BTCUSDT","t":7950493454,"p":"0","q":"0","X":"NA","m":true,"st":1}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct TradeEvent<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    t: u64,
    p: Decimal,
    q: Decimal,
    #[serde(rename = "T", deserialize_with = "millis")]
    time: Timestamp,
    m: bool,
    #[serde(borrow, default, rename = "X")]
    order: Option<&'a str>,
}

/// ```json
/// {"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}
/// ```
/// USDⓈ-M's `q` includes retail-price-improvement fills; its `nq`, without them, is not taken.
#[derive(Debug, Deserialize)]
pub(super) struct AggregateEvent<'a> {
    #[serde(borrow, default)]
    s: Cow<'a, str>,
    a: u64,
    p: Decimal,
    q: Decimal,
    f: u64,
    l: u64,
    #[serde(rename = "T", deserialize_with = "millis")]
    time: Timestamp,
    m: bool,
}

/// A row of `historicalTrades`:
/// ```json
/// {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}
/// ```
#[derive(Debug, Deserialize)]
struct HistoricalTrade {
    id: u64,
    price: Decimal,
    qty: Decimal,
    #[serde(deserialize_with = "millis")]
    time: Timestamp,
    #[serde(rename = "isBuyerMaker")]
    is_buyer_maker: bool,
}

/// A payload that names its instrument and holds one print.
pub(super) trait PrintEvent<'a>: Deserialize<'a> {
    fn instrument_id(&self) -> &str;
    fn print(&self) -> Print<'static>;
}

impl<'a> PrintEvent<'a> for TradeEvent<'a> {
    fn instrument_id(&self) -> &str {
        &self.s
    }

    fn print(&self) -> Print<'static> {
        let is_placeholder = self.order == Some("NA") && self.p.is_zero() && self.q.is_zero();
        Print { is_placeholder, ..single(self.t, self.time, self.p, self.q, self.m) }
    }
}

impl<'a> PrintEvent<'a> for AggregateEvent<'a> {
    fn instrument_id(&self) -> &str {
        &self.s
    }

    fn print(&self) -> Print<'static> {
        Print { trades: Some((self.f, self.l)), ..single(self.a, self.time, self.p, self.q, self.m) }
    }
}

/// One id, no contracts: Binance trades base units.
fn single(
    id: u64,
    event: Timestamp,
    price: Decimal,
    quantity: Decimal,
    is_maker_buyer: bool,
) -> Print<'static> {
    Print {
        sequence: id,
        first_sequence: id,
        trade_id: None,
        event,
        price,
        quantity,
        contracts: None,
        // The buyer was the maker, so the taker sold.
        side: if is_maker_buyer { TakerSide::Sell } else { TakerSide::Buy },
        is_maker_buyer: Some(is_maker_buyer),
        trades: None,
        is_placeholder: false,
    }
}

/// Decodes a trade event and checks that it is about the instrument whose stream brought it.
pub(super) fn print<'a, E: PrintEvent<'a>>(
    text: &'a str,
    instrument_id: &str,
) -> Result<Print<'static>, Rejected> {
    let event: E = from_str(text)?;
    check_instrument(event.instrument_id(), instrument_id)?;
    Ok(event.print())
}

/// What REST answers for the trades of a stream, oldest first.
pub(super) fn historical(stream: TradeStream, body: &[u8]) -> Result<Vec<Print<'static>>, Rejected> {
    match stream {
        TradeStream::Trade => historical_trades(body),
        TradeStream::Aggregate => historical_aggregates(body),
    }
}

/// Rows of `historicalTrades`.
fn historical_trades(body: &[u8]) -> Result<Vec<Print<'static>>, Rejected> {
    let rows: Vec<HistoricalTrade> = from_slice(body)?;
    let prints = rows.iter().map(|row| Print {
        is_placeholder: row.price.is_zero() && row.qty.is_zero(),
        ..single(row.id, row.time, row.price, row.qty, row.is_buyer_maker)
    });
    Ok(prints.collect())
}

/// Rows of `aggTrades`: the event's shape without its `s`.
fn historical_aggregates(body: &[u8]) -> Result<Vec<Print<'static>>, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    let rows: Vec<AggregateEvent<'_>> = from_str(text)?;
    Ok(rows.iter().map(AggregateEvent::print).collect())
}

pub(super) fn check_instrument(named: &str, expected: &str) -> Result<(), Rejected> {
    if named == expected {
        return Ok(());
    }
    Err(Rejected::new("invalid_field", format_args!("field `s`: `{named}` on the stream of {expected}")))
}
