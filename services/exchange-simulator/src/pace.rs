//! The generator's engine: steps the market at the configured rate, tells what is told on a schedule, and has the
//! exchanges publish what happens.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};

use marketprism_service::HumanDuration;

use crate::config::CadenceConfig;
use crate::generator::{Generator, Telling};
use crate::hub::Hub;

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
pub(crate) async fn run(hub: &Hub, generator: &Generator, rate: u64, cadence: &CadenceConfig) {
    let mut paused = hub.paused.subscribe();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut debt = Debt::new(rate, Instant::now());
    let mut schedule = Schedule::new(cadence, Instant::now());
    loop {
        ticks.tick().await;
        if *paused.borrow_and_update() {
            if paused.wait_for(|paused| !paused).await.is_err() {
                return;
            }
            debt = Debt::new(rate, Instant::now());
        }
        let wanted = rate.saturating_mul(hub.faults.burst_factor());
        if debt.rate != wanted {
            debt = Debt::new(wanted, Instant::now());
        }
        for telling in schedule.due(Instant::now()) {
            tell(hub, generator, telling).await;
        }
        let mut steps = 0_u32;
        while debt.is_due(Instant::now()) && !*paused.borrow() {
            debt.published += step(hub, generator).await;
            steps += 1;
            if steps.is_multiple_of(STEPS_PER_TURN) {
                yield_now().await;
            }
        }
    }
}

/// One event of one instrument; how many messages of the rate it was.
async fn step(hub: &Hub, generator: &Generator) -> u64 {
    let index = generator.pick();
    let Some(instrument) = hub.catalogue.get(index) else { return 1 };
    if hub.faults.stalled_until(index).is_some() {
        // The instrument stands still: its turn passes, at the cost of the turn, so that a market whose only
        // instrument is stalled does not spin.
        return 1;
    }
    let exchange = instrument.market.exchange();
    match generator.step(index, hub.now_ms(exchange)) {
        Some(event) => exchange.publish(hub, index, instrument, event).await,
        None => 1,
    }
}

/// What is told at fixed intervals, beside the rate.
struct Schedule([(Telling, Duration, Instant); 6]);

impl Schedule {
    fn new(cadence: &CadenceConfig, now: Instant) -> Self {
        let every = |telling, interval: HumanDuration| (telling, interval.get(), now);
        Self([
            every(Telling::Mark, cadence.mark_price),
            every(Telling::Funding, cadence.funding_rate),
            every(Telling::OpenInterest, cadence.open_interest),
            every(Telling::Liquidations, cadence.liquidation),
            every(Telling::VolatilityIndex, cadence.volatility_index),
            every(Telling::Still, cadence.keep_alive),
        ])
    }

    /// What is due at `now`, once however late it is.
    fn due(&mut self, now: Instant) -> impl Iterator<Item = Telling> {
        self.0.iter_mut().filter_map(move |(telling, interval, next)| {
            (*next <= now).then(|| {
                *next = now + *interval;
                *telling
            })
        })
    }
}

/// Tells `telling` of every instrument that has it.
async fn tell(hub: &Hub, generator: &Generator, telling: Telling) {
    for (index, instrument) in hub.catalogue.listed() {
        if hub.faults.stalled_until(index).is_some() {
            continue;
        }
        let exchange = instrument.market.exchange();
        if let Some(event) = generator.tell(index, telling, hub.now_ms(exchange)) {
            exchange.publish(hub, index, instrument, event).await;
        }
    }
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
