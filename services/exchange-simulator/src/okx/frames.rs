//! Events as OKX's JSON. Numbers are strings without zeros that say nothing; only sequence ids and the checksum, which
//! is always 0, are integers. Sizes are base units (spot) or contracts.
//!
//! Examples: update
//! `{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["83729.6","7","0","4"]],"bids":[],"ts":"1791369352001","checksum":0,"seqId":237,"prevSeqId":184}]}`,
//! trade
//! `{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"106","px":"83753","sz":"0.01","side":"sell","ts":"1791369376364","count":"1","source":"0","seqId":820}]}`.

use compact_str::CompactString;
use serde_json::json;

use super::channel::{Channel, arg_of_instrument, arg_of_type};
use super::instrument_type::{InstrumentType, family};
use crate::connection::Connection;
use crate::event::{Diff, Fill, Liquidation, Mark, OpenInterest, PriceLevel, Snapshot, StillBook, Trade};
use crate::instrument::Instrument;
use crate::json::{integer, text};
use crate::record::{
    BestBidAskRecord, Frame, FundingRateRecord, LiquidationRecord, OpenInterestRecord, OrderBookRecord,
    Record, TradeRecord, side,
};
use crate::units::{Units, plain};

/// `books` shows so many levels a side, which is all that the exchange keeps here.
pub(crate) const BOOK_LEVELS: usize = 400;

/// `connId`: eight hexadecimal digits.
pub(crate) fn connection_id(connection: &Connection) -> String {
    format!("{:08x}", connection.id)
}

/// The book with which `books` begins.
pub(crate) fn book(instrument: &Instrument, index: usize, book: &Snapshot) -> Frame {
    let mut out = head(Channel::Books, instrument);
    out.push_str(r#","action":"snapshot","data":[{"#);
    levels(&mut out, r#""asks":"#, &book.asks);
    levels(&mut out, r#","bids":"#, &book.bids);
    book_tail(&mut out, book.time_ms, book.last_update_id, "-1");
    Frame::new(out, index, OrderBookRecord::pushed(instrument, book))
}

/// What REST answers with: the same levels without the chain.
pub(crate) fn rest_book(book: &Snapshot) -> String {
    let mut out = String::from(r#"{"code":"0","msg":"","data":[{"#);
    levels(&mut out, r#""asks":"#, &book.asks);
    levels(&mut out, r#","bids":"#, &book.bids);
    text(&mut out, r#","ts":"#, &book.time_ms.to_string());
    integer(&mut out, r#","seqId":"#, book.last_update_id);
    out.push_str("}]}");
    out
}

pub(crate) fn update(instrument: &Instrument, index: usize, diff: &Diff) -> Frame {
    let mut out = head(Channel::Books, instrument);
    out.push_str(r#","action":"update","data":[{"#);
    levels(&mut out, r#""asks":"#, &diff.asks);
    levels(&mut out, r#","bids":"#, &diff.bids);
    book_tail(&mut out, diff.time_ms, diff.last_update_id, &diff.previous_update_id.to_string());
    Frame::new(out, index, OrderBookRecord::chained(instrument, diff)).at_revision(diff.revision)
}

/// The update of a book that did not change: `prevSeqId` equals `seqId`.
pub(crate) fn keep_alive(instrument: &Instrument, book: &StillBook) -> Frame {
    let mut out = head(Channel::Books, instrument);
    out.push_str(r#","action":"update","data":[{"asks":[],"bids":[]"#);
    book_tail(&mut out, book.time_ms, book.last_update_id, &book.last_update_id.to_string());
    Frame::unrecorded(out)
}

/// `bbo-tbt`.
pub(crate) fn best_bid_ask(instrument: &Instrument, index: usize, diff: &Diff) -> Frame {
    let mut out = head(Channel::BestBidAsk, instrument);
    out.push_str(r#","data":[{"#);
    levels(&mut out, r#""asks":"#, std::slice::from_ref(&diff.touch.best_ask));
    levels(&mut out, r#","bids":"#, std::slice::from_ref(&diff.touch.best_bid));
    text(&mut out, r#","ts":"#, &diff.time_ms.to_string());
    integer(&mut out, r#","seqId":"#, diff.last_update_id);
    out.push_str("}]}");
    let record = diff.touch.in_base(instrument).map_or(Record::Unrecorded, |touch| {
        Record::BestBidAsk(BestBidAskRecord { update_id: diff.last_update_id, touch })
    });
    Frame::new(out, index, record)
}

/// `tickers`. The day's figures stand still here.
pub(crate) fn ticker(instrument: &Instrument, diff: &Diff) -> Frame {
    let (bid, ask) = (&diff.touch.best_bid, &diff.touch.best_ask);
    let last = plain(&bid.0);
    let row = json!({
        "instType": InstrumentType::of(instrument).as_str(), "instId": instrument.instrument_id,
        "last": last, "lastSz": plain(&bid.1), "askPx": plain(&ask.0), "askSz": plain(&ask.1),
        "bidPx": last, "bidSz": plain(&bid.1), "open24h": last, "high24h": last, "low24h": last,
        "sodUtc0": last, "sodUtc8": last, "volCcy24h": "1000", "vol24h": "1000", "ts": diff.time_ms.to_string(),
    });
    Frame::unrecorded(format!("{},\"data\":[{row}]}}", head(Channel::Tickers, instrument)))
}

/// `trades`: one row for the taker's order, with the id of its last match and their number.
pub(crate) fn trades(instrument: &Instrument, index: usize, fill: &Fill) -> Frame {
    let trade = &fill.aggregate;
    let count = u64::try_from(fill.trades.len()).unwrap_or(1);
    let mut out = head(Channel::Trades, instrument);
    let whose = (trade.last_trade_id, trade.buyer_is_maker, trade.time_ms);
    trade_row(&mut out, instrument, whose, &trade.price, &trade.quantity);
    text(&mut out, r#","count":"#, &count.to_string());
    out.push_str(r#","source":"0""#);
    integer(&mut out, r#","seqId":"#, fill.book_update_id);
    out.push_str("}]}");
    let record = trade_record(instrument, whose, &trade.price, &trade.quantity, Some(count));
    Frame::new(out, index, record)
}

/// `trades-all`: every match.
pub(crate) fn single_trade(instrument: &Instrument, index: usize, trade: &Trade) -> Frame {
    let mut out = head(Channel::TradesAll, instrument);
    let whose = (trade.id, trade.buyer_is_maker, trade.time_ms);
    trade_row(&mut out, instrument, whose, &trade.price, &trade.quantity);
    out.push_str(r#","source":"0"}]}"#);
    Frame::new(out, index, trade_record(instrument, whose, &trade.price, &trade.quantity, None))
}

/// `funding-rate`, and the answer of REST to the same question; `None` of a contract without funding.
pub(crate) fn funding_row(instrument: &Instrument, mark: &Mark) -> Option<(String, Record)> {
    let rate = mark.funding_rate.as_ref()?;
    let rate = plain(rate);
    let next = mark.funding_time_ms + mark.funding_interval_ms;
    let row = json!({
        "formulaType": "withRate", "fundingRate": rate, "fundingTime": mark.funding_time_ms.to_string(),
        "impactValue": "20000", "instId": instrument.instrument_id, "instType": "SWAP", "interestRate": "0.0001",
        "maxFundingRate": "0.00375", "method": "current_period", "minFundingRate": "-0.00375",
        "nextFundingRate": "", "nextFundingTime": next.to_string(), "premium": "-0.0002",
        "prevFundingTime": (mark.funding_time_ms - mark.funding_interval_ms).to_string(),
        "settFundingRate": rate, "settState": "settled", "ts": mark.time_ms.to_string(),
    });
    let record = Record::FundingRate(FundingRateRecord {
        funding_rate: rate.into(),
        funding_time_us: Some(mark.funding_time_ms.saturating_mul(1000)),
        next_funding_time_us: Some(next.saturating_mul(1000)),
        mark_price: None,
        index_price: None,
        ts_event_us: mark.time_ms.saturating_mul(1000),
    });
    Some((row.to_string(), record))
}

pub(crate) fn funding(instrument: &Instrument, index: usize, mark: &Mark) -> Option<Frame> {
    let (row, record) = funding_row(instrument, mark)?;
    Some(Frame::new(format!("{},\"data\":[{row}]}}", head(Channel::FundingRate, instrument)), index, record))
}

pub(crate) fn mark_row(instrument: &Instrument, mark: &Mark) -> String {
    json!({
        "instId": instrument.instrument_id, "instType": InstrumentType::of(instrument).as_str(),
        "markPx": plain(&mark.mark_price), "ts": mark.time_ms.to_string(),
    })
    .to_string()
}

pub(crate) fn mark_price(instrument: &Instrument, mark: &Mark) -> Frame {
    let row = mark_row(instrument, mark);
    Frame::unrecorded(format!("{},\"data\":[{row}]}}", head(Channel::MarkPrice, instrument)))
}

/// `open-interest`, and REST's answer: contracts, coins, dollars.
pub(crate) fn open_interest_row(instrument: &Instrument, told: &OpenInterest) -> (String, Record) {
    let contracts: CompactString = plain(&told.quantity).into();
    let coins = instrument.base_quantity(&told.quantity, &told.mark_price).unwrap_or_default();
    let price = Units::parse(&told.mark_price);
    let dollars = price.zip(Units::parse(&coins)).and_then(|(price, coins)| price.times(coins));
    let dollars = dollars.map(Units::plain).unwrap_or_default();
    let row = json!({
        "instId": instrument.instrument_id, "instType": InstrumentType::of(instrument).as_str(),
        "oi": contracts, "oiCcy": coins, "oiUsd": dollars, "ts": told.time_ms.to_string(),
    });
    let record = Record::OpenInterest(OpenInterestRecord {
        open_interest: Some(contracts),
        open_interest_base: Some(coins),
        open_interest_value: Some(dollars),
        ts_event_us: told.time_ms.saturating_mul(1000),
    });
    (row.to_string(), record)
}

pub(crate) fn open_interest(instrument: &Instrument, index: usize, told: &OpenInterest) -> Frame {
    let (row, record) = open_interest_row(instrument, told);
    Frame::new(format!("{},\"data\":[{row}]}}", head(Channel::OpenInterest, instrument)), index, record)
}

/// `liquidation-orders`: all of an instrument's orders of a second in one row. Accounts in net mode have no `posSide`.
pub(crate) fn liquidations(instrument: &Instrument, index: usize, orders: &[Liquidation]) -> Frame {
    let mut details = Vec::with_capacity(orders.len());
    let mut frame = Frame::unrecorded(String::new());
    for order in orders {
        let side = side(order.is_sell);
        let position = match (order.time_ms % 3, order.is_sell) {
            (0, _) => "",
            (_, true) => "long",
            (_, false) => "short",
        };
        details.push(json!({
            "bkLoss": "0", "bkPx": plain(&order.price), "ccy": "", "posSide": position, "side": side,
            "sz": plain(&order.quantity), "ts": order.time_ms.to_string(),
        }));
        let record = LiquidationRecord {
            side,
            price: plain(&order.price).into(),
            average_price: None,
            quantity: instrument.base_quantity(&order.quantity, &order.price).unwrap_or_default(),
            contracts: instrument.contracts(plain(&order.quantity)),
            ts_event_us: order.time_ms.saturating_mul(1000),
        };
        frame = frame.and(index, Record::Liquidation(record));
    }
    let instrument_type = InstrumentType::of(instrument);
    let row = json!({
        "details": details, "instFamily": family(instrument), "instId": instrument.instrument_id,
        "instType": instrument_type.as_str(), "uly": family(instrument),
    });
    let arg = arg_of_type(Channel::LiquidationOrders, instrument_type);
    frame.text = format!(r#"{{"arg":{arg},"data":[{row}]}}"#);
    frame
}

/// `{"arg":{…}` of a channel of one instrument, open behind it.
fn head(channel: Channel, instrument: &Instrument) -> String {
    let mut out = String::with_capacity(512);
    out.push_str(r#"{"arg":"#);
    out.push_str(&arg_of_instrument(channel, &instrument.instrument_id));
    out
}

fn book_tail(out: &mut String, time_ms: i64, update_id: u64, previous_update_id: &str) {
    text(out, r#","ts":"#, &time_ms.to_string());
    integer(out, r#","checksum":0,"seqId":"#, update_id);
    out.push_str(r#","prevSeqId":"#);
    out.push_str(previous_update_id);
    out.push_str("}]}");
}

/// `[price, size, "0", number of orders]`, best first.
fn levels(out: &mut String, key: &str, levels: &[PriceLevel]) {
    out.push_str(key);
    out.push('[');
    for (index, (price, size)) in levels.iter().enumerate() {
        let size = plain(size);
        out.push_str(if index == 0 { "[\"" } else { ",[\"" });
        out.push_str(plain(price));
        out.push_str("\",\"");
        out.push_str(size);
        out.push_str(if size == "0" { "\",\"0\",\"0\"]" } else { "\",\"0\",\"2\"]" });
    }
    out.push(']');
}

/// Up to `ts`, open behind it.
fn trade_row(
    out: &mut String,
    instrument: &Instrument,
    (id, buyer_is_maker, time_ms): (u64, bool, i64),
    price: &str,
    size: &str,
) {
    text(out, r#","data":[{"instId":"#, &instrument.instrument_id);
    text(out, r#","tradeId":"#, &id.to_string());
    text(out, r#","px":"#, plain(price));
    text(out, r#","sz":"#, plain(size));
    text(out, r#","side":"#, side(buyer_is_maker));
    text(out, r#","ts":"#, &time_ms.to_string());
}

fn trade_record(
    instrument: &Instrument,
    (id, buyer_is_maker, time_ms): (u64, bool, i64),
    price: &str,
    size: &str,
    count: Option<u64>,
) -> Record {
    let quantity = instrument.base_quantity(size, price).unwrap_or_default();
    Record::Trade(TradeRecord {
        trade_id: compact_str::format_compact!("{id}"),
        price: plain(price).into(),
        quantity: plain(&quantity).into(),
        contracts: instrument.contracts(plain(size)),
        side: side(buyer_is_maker),
        aggregated: count.is_some(),
        count,
        trade_seq: None,
        ts_event_us: time_ms.saturating_mul(1000),
    })
}
