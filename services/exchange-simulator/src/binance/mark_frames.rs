//! What USDⓈ-M pushes of a contract beside trades and book, as its JSON.
//!
//! Examples:
//! `{"e":"markPriceUpdate","E":…,"s":"BTCUSDT","p":"85296.60260870","ap":"…","P":"…","i":"…","r":"0.00000523","T":…,"st":1}`,
//! `{"e":"forceOrder","E":…,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.5","p":"83100.00","ap":"83102.10","X":"FILLED","l":"0.5","z":"0.5","T":…,"ps":"BTCUSDT","st":1}}`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::event::{Liquidation, Mark};
use crate::instrument::Instrument;
use crate::record::{Frame, FundingRateRecord, LiquidationRecord, Record, side};

/// A COIN-M contract: since its stream was merged with USDⓈ-M's it comes along, marked `st` 2.
const FOREIGN: &str = "BTCUSD_PERP";

/// `@markPrice`.
pub(crate) fn mark_price(instrument: &Instrument, index: usize, mark: &Mark) -> Frame {
    Frame::new(row(instrument, mark).to_string(), index, record(mark))
}

/// `!markPrice@arr`: everything of ours, and something that is not.
pub(crate) fn all_mark_prices<'a>(told: impl Iterator<Item = (usize, &'a Arc<Instrument>, Mark)>) -> Frame {
    let mut rows = Vec::new();
    let mut frame = Frame::unrecorded(String::new());
    for (index, instrument, mark) in told {
        rows.push(row(instrument, &mark));
        frame = frame.and(index, record(&mark));
    }
    if let Some(mut foreign) = rows.first().cloned()
        && let Some(fields) = foreign.as_object_mut()
    {
        fields.insert("s".to_owned(), FOREIGN.into());
        fields.insert("st".to_owned(), 2.into());
        rows.push(foreign);
    }
    frame.text = Value::from(rows).to_string();
    frame
}

/// `@forceOrder`.
pub(crate) fn liquidation(instrument: &Instrument, index: usize, order: &Liquidation) -> Frame {
    let record = Record::Liquidation(LiquidationRecord {
        side: side(order.is_sell),
        price: order.price.clone(),
        average_price: Some(order.average_price.clone()),
        quantity: order.quantity.clone(),
        contracts: None,
        ts_event_us: order.time_ms.saturating_mul(1000),
    });
    Frame::new(force_order(&instrument.instrument_id, order, 1), index, record)
}

/// The same order as if it were COIN-M's.
pub(crate) fn foreign_liquidation(order: &Liquidation) -> Frame {
    Frame::unrecorded(force_order(FOREIGN, order, 2))
}

/// A dated contract has no funding: its rate is empty and its next time 0.
fn row(instrument: &Instrument, mark: &Mark) -> Value {
    let next_ms = if mark.funding_rate.is_some() { mark.funding_time_ms } else { 0 };
    json!({
        "e": "markPriceUpdate", "E": mark.time_ms, "s": instrument.instrument_id, "p": mark.mark_price,
        "ap": mark.mark_price, "P": mark.index_price, "i": mark.index_price,
        "r": mark.funding_rate.as_deref().unwrap_or(""), "T": next_ms, "st": 1,
    })
}

fn record(mark: &Mark) -> Record {
    let Some(funding_rate) = mark.funding_rate.clone() else { return Record::Unrecorded };
    Record::FundingRate(FundingRateRecord {
        funding_rate,
        funding_time_us: None,
        next_funding_time_us: Some(mark.funding_time_ms.saturating_mul(1000)),
        mark_price: Some(mark.mark_price.clone()),
        index_price: Some(mark.index_price.clone()),
        ts_event_us: mark.time_ms.saturating_mul(1000),
    })
}

fn force_order(symbol: &str, order: &Liquidation, system: u32) -> String {
    json!({
        "e": "forceOrder", "E": order.time_ms,
        "o": {
            "s": symbol, "S": if order.is_sell { "SELL" } else { "BUY" }, "o": "LIMIT", "f": "IOC",
            "q": order.quantity, "p": order.price, "ap": order.average_price, "X": "FILLED",
            "l": order.quantity, "z": order.quantity, "T": order.time_ms, "ps": symbol, "st": system,
        },
    })
    .to_string()
}
