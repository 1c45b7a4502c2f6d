//! Notifications as Deribit's JSON, and the rows that REST shares with them. Books are written by hand, being the hot
//! path; the rest is serde's. Numbers pass through no float: see `number.rs`.
//!
//! Example: `{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{
//! "timestamp":…,"type":"change","change_id":118850969743,"instrument_name":"BTC-PERPETUAL",
//! "bids":[["change",76914.0,1.0002e6],["delete",76893.0,0.0]],"asks":[],"prev_change_id":118850968930}}}`

use compact_str::{CompactString, format_compact};
use serde::Serialize;

use super::listing::settlement_currency;
use super::number::{Number, push_float, push_shortest};
use crate::event::{Diff, Mark, PriceLevel, Snapshot, Trade, VolatilityIndex};
use crate::instrument::Instrument;
use crate::units::push_integer;

/// A notification of `channel`; `data` is JSON text.
pub(crate) fn notification(channel: &str, data: &str) -> String {
    let mut out = String::with_capacity(80 + channel.len() + data.len());
    out.push_str("{\"jsonrpc\":\"2.0\",\"method\":\"subscription\",\"params\":{\"channel\":\"");
    out.push_str(channel);
    out.push_str("\",\"data\":");
    out.push_str(data);
    out.push_str("}}");
    out
}

/// A value as JSON text.
pub(crate) fn object(value: &impl Serialize) -> String {
    // Rows of text, integers and numbers checked by their own writer: there is nothing that JSON cannot say.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// The data of the first message of a book: every level as `["new",price,amount]`, whole amounts without a point.
pub(crate) fn book_snapshot(instrument: &Instrument, book: &Snapshot) -> String {
    let mut out = book_head(instrument, "snapshot", book.time_ms, book.last_update_id);
    for (side, levels) in [("bids", &book.bids), ("asks", &book.asks)] {
        push_side(&mut out, side, levels, |out, (price, amount)| {
            out.push_str("\"new\",");
            push_float(out, price);
            out.push(',');
            push_shortest(out, amount);
        });
    }
    out.push('}');
    out
}

/// The data of an update. The word `new` is not used: the generator does not say which levels are.
pub(crate) fn book_change(instrument: &Instrument, diff: &Diff) -> String {
    let mut out = book_head(instrument, "change", diff.time_ms, diff.last_update_id);
    for (side, levels) in [("bids", &diff.bids), ("asks", &diff.asks)] {
        push_side(&mut out, side, levels, |out, (price, amount)| {
            let gone = amount.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            out.push_str(if gone { "\"delete\"," } else { "\"change\"," });
            push_float(out, price);
            out.push(',');
            push_float(out, amount);
        });
    }
    out.push_str(",\"prev_change_id\":");
    push_integer(&mut out, diff.previous_update_id);
    out.push('}');
    out
}

fn book_head(instrument: &Instrument, kind: &str, time_ms: i64, change_id: u64) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str("{\"timestamp\":");
    push_integer(&mut out, time_ms);
    out.push_str(",\"type\":\"");
    out.push_str(kind);
    out.push_str("\",\"change_id\":");
    push_integer(&mut out, change_id);
    out.push_str(",\"instrument_name\":\"");
    out.push_str(&instrument.instrument_id);
    out.push('"');
    out
}

fn push_side(
    out: &mut String,
    side: &str,
    levels: &[PriceLevel],
    push_level: impl Fn(&mut String, &PriceLevel),
) {
    out.push_str(",\"");
    out.push_str(side);
    out.push_str("\":[");
    for (index, level) in levels.iter().enumerate() {
        out.push_str(if index == 0 { "[" } else { ",[" });
        push_level(out, level);
        out.push(']');
    }
    out.push(']');
}

/// One trade of `trades.…` and of `get_last_trades_by_instrument`.
#[derive(Debug, Serialize)]
pub(crate) struct TradeRow<'a> {
    timestamp: i64,
    price: Number,
    amount: Number,
    /// The taker's side.
    direction: &'static str,
    index_price: Number,
    instrument_name: &'a str,
    trade_seq: u64,
    mark_price: Number,
    tick_direction: u8,
    /// Above 2^53: no float holds it.
    starbase_match_id: u64,
    trade_id: CompactString,
    contracts: Number,
    /// Nanoseconds since 1970 UTC.
    starbase_timestamp: i64,
}

impl<'a> TradeRow<'a> {
    /// `prices` are those of index and mark.
    pub(crate) fn of(index: usize, instrument: &'a Instrument, trade: &Trade, prices: (&str, &str)) -> Self {
        let contracts = instrument.contracts(&trade.quantity).unwrap_or_else(|| trade.quantity.clone());
        Self {
            timestamp: trade.time_ms,
            price: Number::float(&trade.price),
            amount: Number::float(&trade.quantity),
            direction: crate::record::side(trade.buyer_is_maker),
            index_price: Number::float(prices.0),
            instrument_name: &instrument.instrument_id,
            trade_seq: trade.id,
            mark_price: Number::float(prices.1),
            tick_direction: if trade.buyer_is_maker { 2 } else { 0 },
            starbase_match_id: 225_000_000_000_000_001 + trade.id * 2,
            trade_id: trade_id(index, instrument, trade.id),
            contracts: Number::float(&contracts),
            starbase_timestamp: trade.time_ms.saturating_mul(1_000_000) + 718_924,
        }
    }
}

/// The id of the `trade_seq`th trade of the instrument at `index`: of a counter that the currency's instruments share,
/// so with holes; with the currency in front unless that is BTC. There are fewer than 16 instruments.
pub(crate) fn trade_id(index: usize, instrument: &Instrument, trade_seq: u64) -> CompactString {
    let number = trade_seq * 16 + u64::try_from(index % 16).unwrap_or(0);
    match settlement_currency(instrument) {
        "BTC" => format_compact!("{number}"),
        currency => format_compact!("{currency}-{number}"),
    }
}

/// The data of `deribit_volatility_index.btc_usd`.
#[derive(Debug, Serialize)]
pub(crate) struct VolatilityRow<'a> {
    volatility: Number,
    timestamp: i64,
    index_name: &'a str,
}

impl<'a> VolatilityRow<'a> {
    pub(crate) fn of(instrument: &'a Instrument, index: &VolatilityIndex) -> Self {
        Self {
            volatility: Number::float(&index.value),
            timestamp: index.time_ms,
            index_name: &instrument.instrument_id,
        }
    }
}

/// The data of `perpetual.BTC-PERPETUAL.100ms`: `interest` is the funding of 8 hours.
#[derive(Debug, Serialize)]
pub(crate) struct FundingRow {
    index_price: Number,
    interest: Number,
    timestamp: i64,
}

impl FundingRow {
    pub(crate) fn of(mark: &Mark, rate: &str) -> Self {
        Self {
            index_price: Number::float(&mark.index_price),
            interest: Number::float(rate),
            timestamp: mark.time_ms,
        }
    }
}
