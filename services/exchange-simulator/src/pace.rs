//! The generator's engine: steps the market at the configured rate and publishes what happens.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::binance::frames;
use crate::clock::now_ms;
use crate::event::{Diff, Fill};
use crate::exchange::Exchange;
use crate::generator::{Event, Market};
use crate::instrument::{Instrument, MarketType};
use crate::record::Record;
use crate::streams::{Feed, Stream};

/// How finely the rate is kept.
const TICK: Duration = Duration::from_millis(1);
/// Time lost to slow readers is made up for at most this much; more is forgotten, and the rate falls short.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// Steps between two chances for others on the same thread, when the rate is beyond the machine.
const STEPS_PER_TURN: u32 = 64;

/// Messages owed since a moment, at a rate.
#[derive(Debug)]
struct Debt {
    rate: u64,
    since: Instant,
    published: u64,
}

impl Debt {
    fn new(rate: u64, now: Instant) -> Self {
        Self { rate, since: now, published: 0 }
    }

    /// Whether another message is due at `now`.
    fn is_due(&mut self, now: Instant) -> bool {
        let owed = self.owed(now.duration_since(self.since));
        if owed.saturating_sub(self.published) > self.owed(CATCH_UP_MAX) {
            *self = Self::new(self.rate, now);
            return false;
        }
        self.published < owed
    }

    fn owed(&self, elapsed: Duration) -> u64 {
        u64::try_from(elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

/// Runs the market for ever; pausing stops it, and time paused is not made up for.
pub(crate) async fn run(exchange: &Exchange, market: &Market, rate: u64) {
    let mut paused = exchange.paused.subscribe();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut debt = Debt::new(rate, Instant::now());
    loop {
        ticks.tick().await;
        if *paused.borrow_and_update() {
            if paused.wait_for(|paused| !paused).await.is_err() {
                return;
            }
            debt = Debt::new(rate, Instant::now());
        }
        let mut steps = 0_u32;
        while debt.is_due(Instant::now()) && !*paused.borrow() {
            debt.published += step(exchange, market).await;
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_TURN) {
                yield_now().await;
            }
        }
    }
}

/// One event of one instrument; how many messages of the rate it was.
async fn step(exchange: &Exchange, market: &Market) -> u64 {
    let index = market.pick();
    if exchange.faults.stalled_until(index).is_some() {
        // The instrument stands still: its turn passes, at the cost of the turn, so that a market whose only
        // instrument is stalled does not spin.
        return 1;
    }
    let (Some(instrument), Some(event)) = (exchange.catalogue.get(index), market.step(index, now_ms()))
    else {
        return 1;
    };
    match event {
        Event::Fill(fill) => publish_fill(exchange, index, instrument, fill).await,
        Event::Diff(diff) => publish_diff(exchange, index, instrument, &diff).await,
    }
}

/// Spot collectors take `trade`, USDⓈ-M ones `aggTrade`: those are what the rate counts.
async fn publish_fill(exchange: &Exchange, index: usize, instrument: &Instrument, fill: Fill) -> u64 {
    let counted = match instrument.market_type {
        MarketType::Spot => u64::try_from(fill.trades.len()).unwrap_or(1),
        MarketType::Perpetual => 1,
    };
    for trade in fill.trades.into_iter().chain(fill.placeholder) {
        let stream = Stream { instrument: index, feed: Feed::Trade };
        exchange.publish(stream, || (frames::trade(instrument, &trade), Record::from(&trade))).await;
        exchange.history.add_trade(index, trade);
    }
    let stream = Stream { instrument: index, feed: Feed::AggregateTrade };
    let aggregate = fill.aggregate;
    exchange
        .publish(stream, || (frames::aggregate_trade(instrument, &aggregate), Record::from(&aggregate)))
        .await;
    exchange.history.add_aggregate(index, aggregate);
    counted
}

async fn publish_diff(exchange: &Exchange, index: usize, instrument: &Instrument, diff: &Diff) -> u64 {
    let stream = Stream { instrument: index, feed: Feed::Depth };
    exchange.publish(stream, || (frames::diff(instrument, diff), Record::from(diff))).await;
    if diff.touch_moved {
        let stream = Stream { instrument: index, feed: Feed::BookTicker };
        let encode = || {
            let frame = frames::book_ticker(instrument, diff.last_update_id, &diff.touch, diff.time_ms);
            let record = Record::BestBidAsk { update_id: diff.last_update_id, touch: diff.touch.clone() };
            (frame, record)
        };
        exchange.publish(stream, encode).await;
    }
    1
}

#[cfg(test)]
mod tests {
    use super::{CATCH_UP_MAX, Debt};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_rate_is_kept_and_lost_time_is_bounded() {
        let start = Instant::now();
        let mut debt = Debt::new(1000, start);
        let mut published = 0;
        while debt.is_due(start + Duration::from_millis(250)) {
            debt.published += 1;
            published += 1;
        }
        assert_eq!(published, 250);
        let late = start + CATCH_UP_MAX * 3;
        assert!(!debt.is_due(late), "three seconds late: forgotten, begun anew");
        assert!(debt.is_due(late + Duration::from_millis(1)));
    }
}
