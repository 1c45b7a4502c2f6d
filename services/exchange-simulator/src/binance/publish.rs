//! Events of the generator to Binance's streams.

use super::frames;
use super::product::Product;
use crate::event::{Diff, Event, Fill};
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::record::{BestBidAskRecord, Frame, Record};
use crate::streams::{Feed, Stream};

/// Sends `event` to everyone who takes one of its streams; how many messages of the rate it was.
pub(crate) async fn publish(hub: &Hub, index: usize, instrument: &Instrument, event: Event) -> u64 {
    match event {
        Event::Fill(fill) => publish_fill(hub, index, instrument, fill).await,
        Event::Diff(diff) => publish_diff(hub, index, instrument, &diff).await,
        Event::Mark(_) | Event::Liquidations(_) => 0,
        // Binance has no keep-alive of a book, sends funding with the mark price, and has open interest on REST only.
        Event::Still(_) | Event::Funding(_) | Event::OpenInterest(_) | Event::VolatilityIndex(_) => 0,
    }
}

/// Spot collectors take `trade`, USDⓈ-M ones `aggTrade`: those are what the rate counts.
async fn publish_fill(hub: &Hub, index: usize, instrument: &Instrument, fill: Fill) -> u64 {
    let counted = match Product::of(instrument) {
        Product::Spot => u64::try_from(fill.trades.len()).unwrap_or(1),
        Product::Usdm => 1,
    };
    for trade in fill.trades.into_iter().chain(fill.placeholder) {
        let stream = Stream { instrument: index, feed: Feed::Trade };
        hub.publish(stream, || Frame::new(frames::trade(instrument, &trade), index, &trade)).await;
        hub.history.add_trade(index, trade);
    }
    let stream = Stream { instrument: index, feed: Feed::AggregateTrade };
    let aggregate = fill.aggregate;
    hub.publish(stream, || Frame::new(frames::aggregate_trade(instrument, &aggregate), index, &aggregate))
        .await;
    hub.history.add_aggregate(index, aggregate);
    counted
}

async fn publish_diff(hub: &Hub, index: usize, instrument: &Instrument, diff: &Diff) -> u64 {
    let stream = Stream { instrument: index, feed: Feed::Depth };
    hub.publish(stream, || Frame::new(frames::diff(instrument, diff), index, diff)).await;
    if diff.touch_moved {
        let stream = Stream { instrument: index, feed: Feed::BookTicker };
        let encode = || {
            let text = frames::book_ticker(instrument, diff.last_update_id, &diff.touch, diff.time_ms);
            let record = BestBidAskRecord { update_id: diff.last_update_id, touch: diff.touch.clone() };
            Frame::new(text, index, Record::BestBidAsk(record))
        };
        hub.publish(stream, encode).await;
    }
    1
}
