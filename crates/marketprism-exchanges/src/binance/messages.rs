//! The trades on the wire, on the socket and from REST, each with the exchange's payload in its doc. Texts are
//! borrowed from the frame; decimals are parsed from its bytes.

use std::borrow::Cow;

use marketprism_core::{Decimal, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};

use crate::session::Rejected;

/// One print or aggregate, whichever stream or endpoint it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    /// Trade id or aggregate id.
    pub(super) id: u64,
    pub(super) price: Decimal,
    pub(super) quantity: Decimal,
    pub(super) event: Timestamp,
    pub(super) is_maker_buyer: bool,
    /// First and last trade of an aggregate.
    pub(super) trades: Option<(u64, u64)>,
    /// Uses up an id and carries no trade.
    pub(super) is_placeholder: bool,
}

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
    fn print(&self) -> Print;
}

impl<'a> PrintEvent<'a> for TradeEvent<'a> {
    fn instrument_id(&self) -> &str {
        &self.s
    }

    fn print(&self) -> Print {
        Print {
            id: self.t,
            price: self.p,
            quantity: self.q,
            event: self.time,
            is_maker_buyer: self.m,
            trades: None,
            is_placeholder: self.order == Some("NA") && self.p.is_zero() && self.q.is_zero(),
        }
    }
}

impl<'a> PrintEvent<'a> for AggregateEvent<'a> {
    fn instrument_id(&self) -> &str {
        &self.s
    }

    fn print(&self) -> Print {
        Print {
            id: self.a,
            price: self.p,
            quantity: self.q,
            event: self.time,
            is_maker_buyer: self.m,
            trades: Some((self.f, self.l)),
            is_placeholder: false,
        }
    }
}

/// Decodes a trade event and checks that it is about the instrument whose stream brought it.
pub(super) fn print<'a, E: PrintEvent<'a>>(text: &'a str, instrument_id: &str) -> Result<Print, Rejected> {
    let event: E = from_str(text)?;
    check_instrument(event.instrument_id(), instrument_id)?;
    Ok(event.print())
}

/// Rows of `historicalTrades`, oldest first.
pub(super) fn historical_trades(body: &[u8]) -> Result<Vec<Print>, Rejected> {
    let rows: Vec<HistoricalTrade> = from_slice(body)?;
    let prints = rows.iter().map(|row| Print {
        id: row.id,
        price: row.price,
        quantity: row.qty,
        event: row.time,
        is_maker_buyer: row.is_buyer_maker,
        trades: None,
        is_placeholder: row.price.is_zero() && row.qty.is_zero(),
    });
    Ok(prints.collect())
}

/// Rows of `aggTrades`, oldest first: the event's shape without its `s`.
pub(super) fn historical_aggregates(body: &[u8]) -> Result<Vec<Print>, Rejected> {
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

/// An exchange's milliseconds.
pub(super) fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let millis = i64::deserialize(deserializer)?;
    Timestamp::from_millis(millis)
        .ok_or_else(|| de::Error::custom(format_args!("`{millis}` is no time in ms between 1970 and 2200")))
}

/// Parses a payload; only when that fails it is parsed again with the path of the field, for the message.
pub(super) fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejected> {
    serde_json::from_str(text).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(traced) => rejected(&traced, text),
            // Only what follows the value is wrong.
            Ok(_) => Rejected::decode(&error, text),
        }
    })
}

/// An error with the path to the field it is about.
pub(super) fn rejected(traced: &serde_path_to_error::Error<serde_json::Error>, text: &str) -> Rejected {
    let mut rejected = Rejected::decode(traced.inner(), text);
    if rejected.reason == "invalid_field" {
        rejected.detail = format!("field `{}`: {}", traced.path(), rejected.detail);
    }
    rejected
}

fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    from_str(text)
}
