//! Events as Binance's JSON. Written by hand, field by field in the exchange's order: this is the hot path,
//! and names and numbers here need no escaping (ids are letters and digits of some script).
//!
//! Examples: spot trade
//! `{"e":"trade","E":1787315652708,"s":"BTCUSDT","t":6595931385,"p":"76650.00000000","q":"0.00040000","T":1787315652707,"m":true,"M":true}`,
//! USDⓈ-M diff
//! `{"e":"depthUpdate","E":…,"T":…,"s":"BTCUSDT","ps":"BTCUSDT","U":…,"u":…,"pu":…,"b":[["83373.10","2.082"]],"a":[]}`.

use super::product::Product;
use crate::event::{AggregateTrade, Diff, Origin, PriceLevel, Snapshot, Touch, Trade};
use crate::instrument::Instrument;
use crate::json::{flag, integer, text};

pub(crate) fn trade(instrument: &Instrument, trade: &Trade) -> String {
    let mut out = String::with_capacity(192);
    let id = &instrument.instrument_id;
    match Product::of(instrument) {
        Product::Spot => {
            head(&mut out, "trade", trade.time_ms);
            text(&mut out, ",\"s\":", id);
            integer(&mut out, ",\"t\":", trade.id);
            text(&mut out, ",\"p\":", &trade.price);
            text(&mut out, ",\"q\":", &trade.quantity);
            integer(&mut out, ",\"T\":", trade.time_ms);
            flag(&mut out, ",\"m\":", trade.buyer_is_maker);
            out.push_str(",\"M\":true}");
        }
        Product::Usdm => {
            head(&mut out, "trade", trade.time_ms);
            integer(&mut out, ",\"T\":", trade.time_ms);
            text(&mut out, ",\"s\":", id);
            integer(&mut out, ",\"t\":", trade.id);
            text(&mut out, ",\"p\":", &trade.price);
            text(&mut out, ",\"q\":", &trade.quantity);
            text(&mut out, ",\"X\":", if trade.origin == Origin::Market { "MARKET" } else { "NA" });
            flag(&mut out, ",\"m\":", trade.buyer_is_maker);
            out.push_str(",\"st\":1}");
        }
    }
    out
}

pub(crate) fn aggregate_trade(instrument: &Instrument, trade: &AggregateTrade) -> String {
    let mut out = String::with_capacity(224);
    head(&mut out, "aggTrade", trade.time_ms);
    let perpetual = Product::of(instrument) == Product::Usdm;
    if perpetual {
        integer(&mut out, ",\"a\":", trade.id);
        text(&mut out, ",\"s\":", &instrument.instrument_id);
    } else {
        text(&mut out, ",\"s\":", &instrument.instrument_id);
        integer(&mut out, ",\"a\":", trade.id);
    }
    text(&mut out, ",\"p\":", &trade.price);
    text(&mut out, ",\"q\":", &trade.quantity);
    if perpetual {
        text(&mut out, ",\"nq\":", &trade.quantity);
    }
    integer(&mut out, ",\"f\":", trade.first_trade_id);
    integer(&mut out, ",\"l\":", trade.last_trade_id);
    integer(&mut out, ",\"T\":", trade.time_ms);
    flag(&mut out, ",\"m\":", trade.buyer_is_maker);
    out.push_str(if perpetual { ",\"st\":1}" } else { ",\"M\":true}" });
    out
}

pub(crate) fn diff(instrument: &Instrument, diff: &Diff) -> String {
    let mut out = String::with_capacity(192 + 34 * (diff.bids.len() + diff.asks.len()));
    head(&mut out, "depthUpdate", diff.time_ms);
    let perpetual = Product::of(instrument) == Product::Usdm;
    if perpetual {
        integer(&mut out, ",\"T\":", diff.time_ms);
    }
    text(&mut out, ",\"s\":", &instrument.instrument_id);
    if perpetual {
        text(&mut out, ",\"ps\":", &instrument.instrument_id);
    }
    integer(&mut out, ",\"U\":", diff.first_update_id);
    integer(&mut out, ",\"u\":", diff.last_update_id);
    if perpetual {
        integer(&mut out, ",\"pu\":", diff.previous_update_id);
    }
    levels(&mut out, ",\"b\":", &diff.bids);
    levels(&mut out, ",\"a\":", &diff.asks);
    out.push('}');
    out
}

pub(crate) fn book_ticker(instrument: &Instrument, update_id: u64, touch: &Touch, time_ms: i64) -> String {
    let mut out = String::with_capacity(192);
    let perpetual = Product::of(instrument) == Product::Usdm;
    if perpetual {
        out.push_str("{\"e\":\"bookTicker\",");
    } else {
        out.push('{');
    }
    integer(&mut out, "\"u\":", update_id);
    if perpetual {
        integer(&mut out, ",\"E\":", time_ms);
        integer(&mut out, ",\"T\":", time_ms);
    }
    text(&mut out, ",\"s\":", &instrument.instrument_id);
    text(&mut out, ",\"b\":", &touch.best_bid.0);
    text(&mut out, ",\"B\":", &touch.best_bid.1);
    text(&mut out, ",\"a\":", &touch.best_ask.0);
    text(&mut out, ",\"A\":", &touch.best_ask.1);
    if perpetual {
        text(&mut out, ",\"st\":1,\"ps\":", &instrument.instrument_id);
    }
    out.push('}');
    out
}

/// The body of REST depth.
pub(crate) fn snapshot(product: Product, snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(64 + 34 * (snapshot.bids.len() + snapshot.asks.len()));
    integer(&mut out, "{\"lastUpdateId\":", snapshot.last_update_id);
    if product == Product::Usdm {
        integer(&mut out, ",\"E\":", snapshot.time_ms);
        integer(&mut out, ",\"T\":", snapshot.time_ms);
    }
    levels(&mut out, ",\"bids\":", &snapshot.bids);
    levels(&mut out, ",\"asks\":", &snapshot.asks);
    out.push('}');
    out
}

/// The envelope of combined streams.
pub(crate) fn combined(stream: &str, data: &str) -> String {
    let mut out = String::with_capacity(24 + stream.len() + data.len());
    out.push_str("{\"stream\":\"");
    out.push_str(stream);
    out.push_str("\",\"data\":");
    out.push_str(data);
    out.push('}');
    out
}

fn head(out: &mut String, event: &str, time_ms: i64) {
    text(out, "{\"e\":", event);
    integer(out, ",\"E\":", time_ms);
}

fn levels(out: &mut String, key: &str, levels: &[PriceLevel]) {
    out.push_str(key);
    out.push('[');
    for (index, (price, quantity)) in levels.iter().enumerate() {
        out.push_str(if index == 0 { "[\"" } else { ",[\"" });
        out.push_str(price);
        out.push_str("\",\"");
        out.push_str(quantity);
        out.push_str("\"]");
    }
    out.push(']');
}
