//! Effects that unit tests remember.

use marketprism_core::{Instrument, MarketType, Message, TakerSide, Timestamp};
use serde_json::Value;

use crate::context::{Context, SECOND};
use crate::session::{Effects, Link, Lost, Note, Request};
use crate::trade_line::Print;

/// The messages as the wire carries them, and the notes as they print.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) messages: Vec<Value>,
    pub(crate) notes: Vec<String>,
}

impl Effects for Recorded {
    fn emit(&mut self, message: Message<'_>) {
        message.validate().unwrap();
        self.messages.push(serde_json::to_value(&message).unwrap());
    }
    fn send(&mut self, _: Link, _: String) {}
    fn fetch(&mut self, _: Request) {}
    fn reconnect(&mut self, _: Link, _: Lost) {}
    fn note(&mut self, note: Note<'_>) {
        self.notes.push(format!("{note:?}"));
    }
}

impl Recorded {
    pub(crate) fn context<'c>(&'c mut self, instrument: &'c Instrument, now: Timestamp) -> Context<'c> {
        Context { instrument, now, out: self }
    }
}

pub(crate) fn instrument() -> Instrument {
    Instrument::pair("binance", MarketType::Spot, "BTC", "USDT", "BTCUSDT").unwrap()
}

/// So many milliseconds after 2023-11-14 22:13:20 UTC.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000 * SECOND + millis * 1_000).unwrap()
}

/// A print that stands for the numbers from one to another.
pub(crate) fn print(first_sequence: u64, sequence: u64) -> Print<'static> {
    Print {
        sequence,
        first_sequence,
        trade_id: None,
        event: at(i64::try_from(sequence).unwrap()),
        price: "1".parse().unwrap(),
        quantity: "1".parse().unwrap(),
        contracts: None,
        side: TakerSide::Buy,
        is_maker_buyer: None,
        trades: None,
        is_placeholder: false,
    }
}
