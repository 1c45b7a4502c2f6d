//! What happened in a market since a viewer was last told: the newest book, and the trades. Pure.
//!
//! A book replaces the one before; of trades there are at most so many, and how many were left out is told.

use std::collections::VecDeque;

use marketprism_core::message::{Level, OrderBook, Trade};
use marketprism_core::{TakerSide, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// Levels a side that are sent: what a screen shows.
const LEVELS_MAX: usize = 100;
/// Trades that are sent at once: more than a screen shows.
const TRADES_MAX: usize = 100;

/// The best levels of a book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Book {
    #[schema(value_type = i64)]
    ts_event_us: Timestamp,
    #[schema(value_type = i64)]
    ts_recv_us: Timestamp,
    last_update_id: u64,
    /// Levels of the published book; those sent may be fewer.
    bid_levels: usize,
    ask_levels: usize,
    /// `[price, quantity]`, best first, as texts with the exchange's digits.
    #[schema(value_type = Vec<(String, String)>)]
    bids: Vec<Level>,
    #[schema(value_type = Vec<(String, String)>)]
    asks: Vec<Level>,
}

/// One trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TapeTrade {
    #[schema(value_type = i64)]
    ts_event_us: Timestamp,
    trade_id: String,
    price: String,
    quantity: String,
    /// Of the taker.
    #[schema(value_type = String)]
    side: TakerSide,
}

/// Trades since the last time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub(crate) struct Tape {
    /// Oldest first.
    #[schema(value_type = Vec<TapeTrade>)]
    trades: VecDeque<TapeTrade>,
    /// Older ones that were left out.
    skipped: u64,
}

/// What a viewer has not been told.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    book: Option<Book>,
    tape: Tape,
}

impl Pending {
    pub(crate) fn book(&mut self, book: &OrderBook<'_>) {
        let best = |levels: &[Level]| levels.iter().take(LEVELS_MAX).copied().collect();
        self.book = Some(Book {
            ts_event_us: book.ts_event_us,
            ts_recv_us: book.ts_recv_us,
            last_update_id: book.last_update_id,
            bid_levels: book.bids.len(),
            ask_levels: book.asks.len(),
            bids: best(&book.bids),
            asks: best(&book.asks),
        });
    }

    pub(crate) fn trade(&mut self, trade: &Trade<'_>) {
        self.tape.trades.push_back(TapeTrade {
            ts_event_us: trade.ts_event_us,
            trade_id: trade.trade_id.clone().into_owned(),
            price: trade.price.to_string(),
            quantity: trade.quantity.to_string(),
            side: trade.side,
        });
        if self.tape.trades.len() > TRADES_MAX {
            self.tape.trades.pop_front();
            self.tape.skipped += 1;
        }
    }

    /// The newest book, once.
    pub(crate) const fn take_book(&mut self) -> Option<Book> {
        self.book.take()
    }

    /// The trades, once; `None` when there were none.
    pub(crate) fn take_tape(&mut self) -> Option<Tape> {
        (!self.tape.trades.is_empty()).then(|| std::mem::take(&mut self.tape))
    }
}

#[cfg(test)]
mod tests {
    use marketprism_core::{Message, Subject};
    use proptest::prelude::*;

    use super::*;

    fn common(data_type: &str) -> String {
        format!(
            r#""data_type":"{data_type}","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument_id":"BTCUSDT","ts_event_us":1791417540000000,"ts_recv_us":1791417540000001,"source":"ws","schema":1"#
        )
    }

    fn told(pending: &mut Pending, data_type: &str, fields: &str) {
        let payload = format!("{{{},{fields}}}", common(data_type));
        let subject = Subject::parse(&format!("{data_type}.binance.spot.BTC-USDT")).unwrap();
        let message = Message::decode(&subject, payload.as_bytes()).unwrap();
        if let Message::OrderBook(book) = &message {
            pending.book(book);
        } else if let Message::Trade(trade) = &message {
            pending.trade(trade);
        } else {
            panic!("{message:?}");
        }
    }

    fn book(pending: &mut Pending, update: u64) {
        let fields = format!(
            r#""bids":[["64000.10","0.5"]],"asks":[["64000.20","1"]],"last_update_id":{update},"update_count":1,"is_snapshot_of":"top","depth":400"#
        );
        told(pending, "orderbook", &fields);
    }

    fn trade(pending: &mut Pending, id: u64) {
        let fields = format!(r#""trade_id":"{id}","price":"64000.10","quantity":"0.50","side":"sell""#);
        told(pending, "trade", &fields);
    }

    #[test]
    fn digits_are_those_of_the_exchange() {
        let mut pending = Pending::default();
        book(&mut pending, 7);
        trade(&mut pending, 1);
        let book = serde_json::to_value(pending.take_book()).unwrap();
        assert_eq!(book["bids"], serde_json::json!([["64000.10", "0.5"]]));
        let tape = serde_json::to_value(pending.take_tape()).unwrap();
        assert_eq!(tape["trades"][0]["side"], "sell");
    }

    proptest! {
        /// Whatever comes and whenever a viewer is told: the newest book is told, no book twice, and every trade is told once or
        /// counted as skipped, in order.
        #[test]
        fn nothing_is_told_twice_and_nothing_is_forgotten(steps in prop::collection::vec(0_u8..3, 0..600)) {
            let mut pending = Pending::default();
            let (mut updates, mut ids) = (0, 0);
            let (mut last_book, mut told, mut skipped) = (0, Vec::new(), 0);
            for step in steps.into_iter().chain([2]) {
                match step {
                    0 => { updates += 1; book(&mut pending, updates); }
                    1 => { ids += 1; trade(&mut pending, ids); }
                    _ => {
                        if let Some(book) = pending.take_book() {
                            prop_assert!(book.last_update_id > last_book);
                            last_book = book.last_update_id;
                        }
                        prop_assert_eq!(last_book, updates);
                        if let Some(tape) = pending.take_tape() {
                            prop_assert!(tape.trades.len() <= TRADES_MAX);
                            skipped += tape.skipped;
                            told.extend(tape.trades.iter().map(|trade| trade.trade_id.parse::<u64>().unwrap()));
                        }
                    }
                }
            }
            prop_assert!(told.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(told.len() as u64 + skipped, ids);
        }
    }
}
