//! `Nats-Msg-Id`: the identity of an event, so that a retry, a second collector or a backfill is the same message.
//!
//! Built from the exchange's own id or sequence, else from event time and value; never from the time of publishing.

use std::fmt::Write;

use crate::message::Message;
use crate::subject::Subject;
use crate::time::Timestamp;

/// The id of a message on its subject: `{subject}:{identity}`.
#[must_use]
pub fn message_id(subject: &Subject, message: &Message<'_>) -> String {
    let mut id = String::with_capacity(subject.as_str().len() + 32);
    id.push_str(subject.as_str());
    id.push(':');
    // Writing to a String cannot fail.
    let _infallible = match message {
        // Aggregates count their own ids, which may meet a trade's: the prefix keeps the two apart.
        Message::Trade(trade) if trade.is_aggregate() => write!(id, "a{}", trade.trade_id),
        Message::Trade(trade) => write!(id, "{}", trade.trade_id),
        Message::OrderBook(book) => write!(id, "{}", book.last_update_id),
        Message::FundingRate(funding) => write!(id, "{}", funding.ts_event_us.as_micros()),
        Message::OpenInterest(interest) => write!(id, "{}", interest.ts_event_us.as_micros()),
        // Two liquidations of one symbol in one millisecond are two; only equal ones are one.
        Message::Liquidation(order) => {
            write!(id, "{}:{}:{}:{}", order.ts_event_us.as_micros(), order.side, order.price, order.quantity)
        }
        Message::VolatilityIndex(index) => {
            write!(id, "{}:{}", index.ts_event_us.as_micros(), index.resolution_seconds.unwrap_or_default())
        }
        Message::LsrTopPosition(ratio) => write!(id, "{}:{}", ratio.period, ratio.ts_event_us.as_micros()),
        Message::LsrAllAccount(ratio) => write!(id, "{}:{}", ratio.period, ratio.ts_event_us.as_micros()),
        Message::Gap(gap) => {
            let micros = |time: Option<Timestamp>| time.map_or(0, |time| time.as_micros().unsigned_abs());
            let from = gap.from_sequence.unwrap_or_else(|| micros(gap.from_time_us));
            let to = gap.to_sequence.unwrap_or_else(|| micros(gap.to_time_us));
            write!(id, "{}:{from}-{to}:{}", gap.missing_data_type, gap.reason)
        }
    };
    id
}
