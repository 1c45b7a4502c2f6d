//! Events of the generator to Binance's streams.

use super::product::Product;
use super::{frames, mark_frames};
use crate::event::{Diff, Event, Fill, Liquidation, Mark};
use crate::exchange::Market;
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::record::{BestBidAskRecord, Frame, Record};
use crate::streams::{Feed, Stream};
use crate::units::Units;

/// Sends `event` to everyone who takes one of its streams; how many messages of the rate it was.
pub(crate) async fn publish(hub: &Hub, index: usize, instrument: &Instrument, event: Event) -> u64 {
    match event {
        Event::Fill(fill) => publish_fill(hub, index, instrument, fill).await,
        Event::Diff(diff) => publish_diff(hub, index, instrument, &diff).await,
        Event::Mark(mark) => {
            publish_mark(hub, index, instrument, &mark).await;
            0
        }
        Event::Liquidations(orders) => {
            publish_liquidation(hub, index, instrument, orders).await;
            0
        }
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

/// To the instrument's own stream and, behind the last instrument of the list, all of them to `!markPrice@arr`.
async fn publish_mark(hub: &Hub, index: usize, instrument: &Instrument, mark: &Mark) {
    let stream = Stream { instrument: index, feed: Feed::MarkPrice };
    hub.publish(stream, || mark_frames::mark_price(instrument, index, mark)).await;
    let listed = || hub.catalogue.of(Market::BinanceUsdm);
    if listed().last().is_none_or(|(last, _)| last != index) {
        return;
    }
    let (Some(generator), Some(first)) = (hub.generator(), hub.catalogue.first(Market::BinanceUsdm)) else {
        return;
    };
    let stream = Stream { instrument: first, feed: Feed::MarkPrices };
    let all = || {
        let told =
            listed().filter_map(|(index, one)| Some((index, one, generator.mark(index, mark.time_ms)?)));
        mark_frames::all_mark_prices(told)
    };
    hub.publish(stream, all).await;
}

/// The largest order of the second, as the exchange does; and now and then one of an instrument that is not ours.
async fn publish_liquidation(hub: &Hub, index: usize, instrument: &Instrument, orders: Vec<Liquidation>) {
    let largest = orders.into_iter().max_by_key(|order| Units::parse(&order.quantity));
    let Some(order) = largest else { return };
    let stream = Stream { instrument: index, feed: Feed::Liquidation };
    hub.publish(stream, || mark_frames::liquidation(instrument, index, &order)).await;
    if let Some(first) = hub.catalogue.first(Market::BinanceUsdm) {
        let stream = Stream { instrument: first, feed: Feed::ForeignLiquidation };
        hub.publish(stream, || mark_frames::foreign_liquidation(&order)).await;
    }
}
