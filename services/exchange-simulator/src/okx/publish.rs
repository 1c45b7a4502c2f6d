//! Events of the generator to OKX's channels.

use super::channel::{Channel, arg_of_type};
use super::frames;
use super::instrument_type::{InstrumentType, row};
use crate::event::Event;
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::record::Frame;
use crate::streams::{Feed, Stream};

/// Sends `event` to everyone who takes one of its channels; how many messages of the rate it was.
pub(crate) async fn publish(hub: &Hub, index: usize, instrument: &Instrument, event: Event) -> u64 {
    let at = |feed| Stream { instrument: index, feed };
    match event {
        Event::Fill(fill) => {
            hub.publish(at(Feed::AggregateTrade), || frames::trades(instrument, index, &fill)).await;
            for trade in fill.trades {
                hub.publish(at(Feed::Trade), || frames::single_trade(instrument, index, &trade)).await;
                hub.history.add_trade(index, trade);
            }
            1
        }
        Event::Diff(diff) => {
            hub.publish(at(Feed::Depth), || frames::update(instrument, index, &diff)).await;
            if diff.touch_moved {
                hub.publish(at(Feed::BookTicker), || frames::best_bid_ask(instrument, index, &diff)).await;
                hub.publish(at(Feed::Ticker), || frames::ticker(instrument, &diff)).await;
            }
            1
        }
        Event::Still(book) => {
            hub.publish(at(Feed::Depth), || frames::keep_alive(instrument, &book)).await;
            0
        }
        Event::Mark(mark) => {
            hub.publish(at(Feed::MarkPrice), || frames::mark_price(instrument, &mark)).await;
            0
        }
        Event::Funding(mark) => {
            if let Some(frame) = frames::funding(instrument, index, &mark) {
                hub.publish(at(Feed::FundingRate), || frame).await;
            }
            0
        }
        Event::OpenInterest(told) => {
            hub.publish(at(Feed::OpenInterest), || frames::open_interest(instrument, index, &told)).await;
            0
        }
        Event::Liquidations(orders) => {
            hub.publish(at(Feed::Liquidation), || frames::liquidations(instrument, index, &orders)).await;
            0
        }
        // OKX has none.
        Event::VolatilityIndex(_) => 0,
    }
}

/// Pushes the row of an instrument that came or went: `live` or `expired`.
pub(crate) async fn listing_changed(hub: &Hub, index: usize) {
    let Some(instrument) = hub.catalogue.get(index) else { return };
    let stream = Stream { instrument: index, feed: Feed::Instruments };
    let mut row = row(instrument, index);
    if !hub.catalogue.is_listed(index)
        && let Some(row) = row.as_object_mut()
    {
        row.insert("state".to_owned(), "expired".into());
    }
    let arg = arg_of_type(Channel::Instruments, InstrumentType::of(instrument));
    hub.publish(stream, || Frame::unrecorded(format!(r#"{{"arg":{arg},"data":[{row}]}}"#))).await;
}
