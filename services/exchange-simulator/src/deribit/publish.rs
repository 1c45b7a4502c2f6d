//! What happens on the exchange, put into the channels that show it.

use compact_str::CompactString;
use serde_json::json;

use super::channel;
use super::frames::{
    FundingRow, TradeRow, VolatilityRow, book_change, book_snapshot, notification, object, trade_id,
};
use super::quote::{Quote, index_price};
use super::ticker::Ticker;
use crate::event::{Diff, Event, Mark, PriceLevel, Snapshot, Touch, Trade, VolatilityIndex};
use crate::exchange::Market;
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::record::{
    Frame, FundingRateRecord, OpenInterestRecord, OrderBookRecord, Record, TradeRecord,
    VolatilityIndexRecord, side,
};
use crate::streams::{Feed, Stream};

/// Every event is one message of the rate. Funding and open interest are told with every mark price, liquidations not
/// live at all (since 2023), and a book in which nothing happens is silent.
pub(crate) async fn publish(hub: &Hub, index: usize, instrument: &Instrument, event: Event) -> u64 {
    let stream = |feed| Stream { instrument: index, feed };
    match event {
        Event::Fill(fill) => {
            hub.publish(stream(Feed::Trade), || trades(hub, index, instrument, &fill.trades)).await;
            for trade in fill.trades {
                hub.history.add_trade(index, trade);
            }
        }
        Event::Diff(diff) => {
            hub.publish(stream(Feed::Depth), || change(index, instrument, &diff)).await;
        }
        Event::Mark(mark) => {
            if let Some(quote) = Quote::of(hub, index, instrument, 1) {
                hub.publish(stream(Feed::Ticker), || ticker(index, instrument, &quote)).await;
            }
            if let Some(rate) = &mark.funding_rate {
                hub.publish(stream(Feed::FundingRate), || funding(index, instrument, &mark, rate)).await;
            }
        }
        Event::VolatilityIndex(value) => {
            hub.publish(stream(Feed::VolatilityIndex), || volatility(index, instrument, &value)).await;
            publish_price_lock(hub, &value).await;
            hub.deribit.index_values.add(index, value);
        }
        Event::Still(_) | Event::Funding(_) | Event::OpenInterest(_) | Event::Liquidations(_) => {}
    }
    1
}

/// `platform_state` is mostly noise of this sort, about price indices that nobody here has.
async fn publish_price_lock(hub: &Hub, value: &VolatilityIndex) {
    let Some(instrument) = hub.catalogue.first(Market::Deribit) else { return };
    let lock = || {
        let data = json!({ "price_index": "alt_usdc", "locked": value.time_ms % 2 == 0, "reasons": [] });
        Frame::unrecorded(notification("platform_state", &data.to_string()))
    };
    hub.publish(Stream { instrument, feed: Feed::Platform }, lock).await;
}

/// The whole book, which begins a subscription.
pub(crate) fn snapshot(index: usize, instrument: &Instrument, book: &Snapshot) -> Frame {
    let touch = book.bids.first().zip(book.asks.first());
    let record = OrderBookRecord {
        snapshot: true,
        first_update_id: None,
        previous_update_id: None,
        last_update_id: book.last_update_id,
        touch: touch.map(|(bid, ask)| base_touch(instrument, bid, ask)),
        ts_event_us: Some(book.time_ms.saturating_mul(1000)),
    };
    let text = notification(&channel::name("book", instrument), &book_snapshot(instrument, book));
    Frame::new(text, index, Record::OrderBook(record))
}

fn change(index: usize, instrument: &Instrument, diff: &Diff) -> Frame {
    let record = OrderBookRecord {
        snapshot: false,
        first_update_id: None,
        previous_update_id: Some(diff.previous_update_id),
        last_update_id: diff.last_update_id,
        touch: Some(base_touch(instrument, &diff.touch.best_bid, &diff.touch.best_ask)),
        ts_event_us: Some(diff.time_ms.saturating_mul(1000)),
    };
    let text = notification(&channel::name("book", instrument), &book_change(instrument, diff));
    Frame::new(text, index, Record::OrderBook(record)).at_revision(diff.revision)
}

/// All trades of a taker's order come in one message.
fn trades(hub: &Hub, index: usize, instrument: &Instrument, trades: &[Trade]) -> Frame {
    let rows = rows(hub, index, instrument, trades);
    let frame = Frame::unrecorded(notification(&channel::name("trades", instrument), &object(&rows)));
    trades.iter().fold(frame, |frame, trade| frame.and(index, trade_record(index, instrument, trade)))
}

/// Trades as channel and REST show them.
pub(crate) fn rows<'a>(
    hub: &Hub,
    index: usize,
    instrument: &'a Instrument,
    trades: &[Trade],
) -> Vec<TradeRow<'a>> {
    let Some(last) = trades.last() else { return Vec::new() };
    let mark = hub.generator().and_then(|generator| generator.mark(index, last.time_ms));
    let mark_price = mark.as_ref().map_or(&last.price, |mark| &mark.mark_price);
    let index_price = mark.as_ref().and_then(|mark| index_price(hub, instrument, mark));
    let prices = (index_price.as_ref().unwrap_or(&last.price).as_str(), mark_price.as_str());
    trades.iter().map(|trade| TradeRow::of(index, instrument, trade, prices)).collect()
}

fn trade_record(index: usize, instrument: &Instrument, trade: &Trade) -> Record {
    Record::Trade(TradeRecord {
        trade_id: trade_id(index, instrument, trade.id),
        price: trade.price.clone(),
        quantity: base(instrument, &trade.quantity, &trade.price),
        contracts: instrument.contracts(&trade.quantity),
        side: side(trade.buyer_is_maker),
        aggregated: false,
        count: None,
        trade_seq: Some(trade.id),
        ts_event_us: trade.time_ms.saturating_mul(1000),
    })
}

fn ticker(index: usize, instrument: &Instrument, quote: &Quote) -> Frame {
    let text = notification(&channel::name("ticker", instrument), &object(&Ticker::of(instrument, quote)));
    let frame = Frame::new(text, index, open_interest_record(instrument, quote));
    match &quote.mark.funding_rate {
        Some(rate) => {
            let mark_price = Some(quote.mark.mark_price.clone());
            frame.and(index, funding_record(rate, mark_price, &quote.mark.index_price, quote.time_ms))
        }
        None => frame,
    }
}

/// What a ticker or a summary says of the open interest. An inverse contract's is an amount of its quote currency.
pub(crate) fn open_interest_record(instrument: &Instrument, quote: &Quote) -> Record {
    let amount = &quote.open_interest.quantity;
    let inverse = instrument.contract().is_some_and(|contract| contract.inverse);
    Record::OpenInterest(OpenInterestRecord {
        open_interest: instrument.contracts(amount),
        open_interest_base: instrument.base_quantity(amount, &quote.mark.mark_price),
        open_interest_value: inverse.then(|| amount.clone()),
        ts_event_us: quote.time_ms.saturating_mul(1000),
    })
}

fn funding(index: usize, instrument: &Instrument, mark: &Mark, rate: &CompactString) -> Frame {
    let text = notification(&channel::name("perpetual", instrument), &object(&FundingRow::of(mark, rate)));
    Frame::new(text, index, funding_record(rate, None, &mark.index_price, mark.time_ms))
}

fn funding_record(
    rate: &CompactString,
    mark_price: Option<CompactString>,
    index_price: &CompactString,
    time_ms: i64,
) -> Record {
    Record::FundingRate(FundingRateRecord {
        funding_rate: rate.clone(),
        funding_time_us: None,
        next_funding_time_us: None,
        mark_price,
        index_price: Some(index_price.clone()),
        ts_event_us: time_ms.saturating_mul(1000),
    })
}

fn volatility(index: usize, instrument: &Instrument, value: &VolatilityIndex) -> Frame {
    let channel = format!("deribit_volatility_index.{}", instrument.instrument_id);
    let text = notification(&channel, &object(&VolatilityRow::of(instrument, value)));
    let record = VolatilityIndexRecord {
        index_value: value.value.clone(),
        open: None,
        high: None,
        low: None,
        resolution_seconds: None,
        ts_event_us: value.time_ms.saturating_mul(1000),
    };
    Frame::new(text, index, Record::VolatilityIndex(record))
}

fn base_touch(instrument: &Instrument, bid: &PriceLevel, ask: &PriceLevel) -> Touch {
    let level = |(price, amount): &PriceLevel| (price.clone(), base(instrument, amount, price));
    Touch { best_bid: level(bid), best_ask: level(ask) }
}

/// An amount in base units; the generator's prices are never zero.
fn base(instrument: &Instrument, amount: &CompactString, price: &str) -> CompactString {
    instrument.base_quantity(amount, price).unwrap_or_else(|| amount.clone())
}
