//! What an exchange tells of a contract beside its trades and book: mark price, funding, open interest,
//! liquidations; and of an index its value. No clock: the caller brings the time.

use super::book::Level;
use super::shape::Dice;
use crate::event::{Liquidation, Mark, OpenInterest, VolatilityIndex};
use crate::instrument::{Instrument, MarketType};
use crate::units::decimal;

/// What is told on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    Mark,
    Funding,
    OpenInterest,
    Liquidations,
    VolatilityIndex,
    /// The book, where it has not changed for as long as the schedule's interval.
    Still,
}

/// Decimals of a funding rate.
const FUNDING_DECIMALS: u32 = 8;
/// A funding rate stays within 0.375 %.
const FUNDING_UNITS_MAX: i64 = 375_000;
/// Share of seconds in which somebody is liquidated.
const LIQUIDATION_PERCENT: u64 = 40;

/// The state behind them.
#[derive(Debug)]
pub(super) struct Statistics {
    dice: Dice,
    funding_units: i64,
    open_interest_steps: i64,
    /// In hundredths of a percentage point.
    volatility: i64,
    pub(super) mark: Option<Mark>,
    pub(super) open_interest: Option<OpenInterest>,
}

impl Statistics {
    pub(super) fn new(instrument: &Instrument, mut dice: Dice) -> Self {
        Self {
            funding_units: dice.below_signed(20_000) - 8_000,
            open_interest_steps: instrument.usual_steps.saturating_mul(5_000 + dice.below_signed(2_000)),
            volatility: 3_000 + dice.below_signed(3_000),
            dice,
            mark: None,
            open_interest: None,
        }
    }

    /// Mark and index lie a few hundredths of a tick from the middle.
    pub(super) fn mark(&mut self, instrument: &Instrument, (bid, ask): (Level, Level), now_ms: i64) -> Mark {
        let decimals = instrument.price_decimals + 2;
        let middle = instrument.price_units(bid.0 + ask.0).saturating_mul(50);
        let tick = instrument.price_units(1).saturating_mul(100);
        let mark = middle + self.dice.below_signed(tick);
        let index = mark - self.dice.below_signed(tick);
        let drift = self.dice.below_signed(41) - 20;
        self.funding_units = (self.funding_units + drift).clamp(-FUNDING_UNITS_MAX, FUNDING_UNITS_MAX);
        let interval_ms = instrument.funding_interval_ms();
        let has_funding = instrument.market_type == MarketType::Perpetual;
        let mark = Mark {
            mark_price: decimal(mark, decimals),
            index_price: decimal(index, decimals),
            funding_rate: has_funding.then(|| decimal(self.funding_units, FUNDING_DECIMALS)),
            funding_time_ms: (now_ms / interval_ms + 1) * interval_ms,
            funding_interval_ms: interval_ms,
            time_ms: now_ms,
        };
        self.mark = Some(mark.clone());
        mark
    }

    pub(super) fn open_interest(
        &mut self,
        instrument: &Instrument,
        mark: &Mark,
        now_ms: i64,
    ) -> OpenInterest {
        let usual = instrument.usual_steps.max(1);
        let change = self.dice.below_signed(2 * usual + 1) - usual;
        self.open_interest_steps = (self.open_interest_steps + change).max(1);
        let told = OpenInterest {
            quantity: instrument.quantity(self.open_interest_steps),
            mark_price: mark.mark_price.clone(),
            time_ms: now_ms,
        };
        self.open_interest = Some(told.clone());
        told
    }

    /// Orders of the last second: mostly none, sometimes two.
    pub(super) fn liquidations(
        &mut self,
        instrument: &Instrument,
        (bid, ask): (Level, Level),
        now_ms: i64,
    ) -> Vec<Liquidation> {
        if !self.dice.percent(LIQUIDATION_PERCENT) {
            return Vec::new();
        }
        let count = if self.dice.percent(20) { 2 } else { 1 };
        (0..count)
            .map(|_| {
                let is_sell = self.dice.percent(50);
                let distance = 1 + self.dice.below_signed(20);
                let (touch, limit) =
                    if is_sell { (bid.0, bid.0 - distance) } else { (ask.0, ask.0 + distance) };
                Liquidation {
                    is_sell,
                    price: instrument.price(limit.max(1)),
                    average_price: instrument.price(touch),
                    quantity: instrument.quantity(self.dice.quantity_steps(instrument.usual_steps)),
                    time_ms: now_ms,
                }
            })
            .collect()
    }

    /// A walk between 10 and 150 points.
    pub(super) fn volatility_index(&mut self, now_ms: i64) -> VolatilityIndex {
        self.volatility = (self.volatility + self.dice.below_signed(21) - 10).clamp(1_000, 15_000);
        VolatilityIndex { value: decimal(self.volatility, 2), time_ms: now_ms }
    }
}

/// Made of the period alone, so that every request gets the same history.
pub(super) fn past_open_interest(
    instrument: &Instrument,
    seed: u64,
    stream: u64,
    start_ms: i64,
) -> OpenInterest {
    let mut dice = Dice::new(seed ^ stream, start_ms.unsigned_abs().wrapping_mul(4));
    let steps = instrument.usual_steps.saturating_mul(5_000 + dice.below_signed(2_000));
    OpenInterest {
        quantity: instrument.quantity(steps),
        mark_price: instrument.price(instrument.start_ticks),
        time_ms: start_ms,
    }
}
