//! One instrument's life: its book, its ids, its next event. Knows no clock and no socket: equal seeds give
//! equal ids, prices and sizes, whatever the time is.

use std::sync::Arc;

use super::book::{Book, Level};
use super::shape::Dice;
use super::statistics::{Statistics, Telling};
use crate::event::{
    AggregateTrade, Diff, Event, Fill, Mark, OpenInterest, Origin, PriceLevel, Snapshot, StillBook, Touch,
    Trade,
};
use crate::exchange::Market;
use crate::instrument::{Instrument, MarketType};

/// Share of events that are fills; the others are diffs. Captures of busy symbols are near it.
const FILL_PERCENT: u64 = 40;
/// Share of USDⓈ-M fills followed by a zero-price placeholder.
const PLACEHOLDER_PERCENT: u64 = 1;

/// The state behind one instrument's streams.
#[derive(Debug)]
pub(crate) struct Walk {
    instrument: Arc<Instrument>,
    dice: Dice,
    book: Book,
    touch: (Level, Level),
    last_update_id: u64,
    last_trade_id: u64,
    last_aggregate_id: u64,
    last_time_ms: i64,
    /// Updates since the start.
    revision: u64,
    /// The revision when somebody last asked whether the book stands still.
    still_revision: u64,
    resets_ids: bool,
    statistics: Statistics,
}

impl Walk {
    /// A fresh instrument; `stream` keeps its dice apart from every other instrument's.
    pub(crate) fn new(instrument: Arc<Instrument>, seed: u64, stream: u64) -> Self {
        let mut dice = Dice::new(seed, stream);
        let book = Book::new(
            instrument.start_ticks,
            instrument.usual_steps,
            levels_max(instrument.market),
            &mut dice,
        );
        Self {
            touch: touch_of(&book),
            last_update_id: 10_000_000_000 + dice.below(40_000_000_000),
            last_trade_id: 1_000_000_000 + dice.below(5_000_000_000),
            last_aggregate_id: 500_000_000 + dice.below(3_000_000_000),
            last_time_ms: 0,
            revision: 0,
            still_revision: 0,
            resets_ids: false,
            statistics: Statistics::new(&instrument, Dice::new(seed, stream.wrapping_add(1))),
            instrument,
            dice,
            book,
        }
    }

    /// The next event, stamped with `now_ms`.
    pub(crate) fn step(&mut self, now_ms: i64) -> Event {
        self.last_time_ms = now_ms;
        if self.dice.percent(FILL_PERCENT) {
            Event::Fill(self.fill(now_ms))
        } else {
            Event::Diff(self.diff(now_ms))
        }
    }

    /// One taker order against the touch, met by one to four makers.
    fn fill(&mut self, time_ms: i64) -> Fill {
        let buyer_is_maker = self.dice.percent(50);
        let (bid, ask) = self.touch;
        let (ticks, available_steps) = if buyer_is_maker { bid } else { ask };
        let makers = match self.dice.below(10) {
            0..6 => 1,
            6..8 => 2,
            8 => 3,
            _ => 4,
        };
        let price = self.instrument.price(ticks);
        let first_trade_id = self.last_trade_id + 1;
        let mut total_steps = 0;
        let mut trades = Vec::with_capacity(4);
        for _ in 0..makers {
            let steps = 1 + self.dice.below_signed(available_steps / 4);
            total_steps += steps;
            self.last_trade_id += 1;
            trades.push(Trade {
                id: self.last_trade_id,
                price: price.clone(),
                quantity: self.instrument.quantity(steps),
                buyer_is_maker,
                time_ms,
                origin: Origin::Market,
            });
        }
        self.last_aggregate_id += 1;
        let aggregate = AggregateTrade {
            id: self.last_aggregate_id,
            first_trade_id,
            last_trade_id: self.last_trade_id,
            price,
            quantity: self.instrument.quantity(total_steps),
            buyer_is_maker,
            time_ms,
        };
        Fill {
            book_update_id: self.last_update_id,
            trades,
            aggregate,
            placeholder: self.placeholder(time_ms),
        }
    }

    fn placeholder(&mut self, time_ms: i64) -> Option<Trade> {
        let due = self.instrument.market == Market::BinanceUsdm && self.dice.percent(PLACEHOLDER_PERCENT);
        due.then(|| {
            self.last_trade_id += 1;
            Trade {
                id: self.last_trade_id,
                price: "0".into(),
                quantity: "0".into(),
                buyer_is_maker: true,
                time_ms,
                origin: Origin::Placeholder,
            }
        })
    }

    /// Binance spot's ids are dense (`U` = previous `u` + 1). The others share their counter with other instruments, so
    /// ids are sparse and each update names the one before it.
    fn diff(&mut self, time_ms: i64) -> Diff {
        let changes = self.book.step(&mut self.dice);
        let levels = u64::try_from(changes.bids.len() + changes.asks.len()).unwrap_or(0);
        let previous_update_id = self.last_update_id;
        let (skipped, spread) = match self.instrument.market {
            Market::BinanceSpot => (0, levels.max(1) - 1 + self.dice.below(10)),
            Market::BinanceUsdm | Market::OkxSpot | Market::OkxSwap | Market::Deribit => {
                (self.dice.below(500), levels * self.dice.below(100))
            }
        };
        let begins_anew = std::mem::take(&mut self.resets_ids);
        let first_update_id = if begins_anew { skipped } else { previous_update_id + 1 + skipped };
        self.revision += 1;
        self.last_update_id = first_update_id + spread;
        let touch = touch_of(&self.book);
        let touch_moved = touch != self.touch;
        self.touch = touch;
        Diff {
            revision: self.revision,
            first_update_id,
            last_update_id: self.last_update_id,
            previous_update_id,
            bids: changes.bids.iter().rev().map(|&level| self.level(level)).collect(),
            asks: changes.asks.iter().map(|&level| self.level(level)).collect(),
            touch: Touch { best_bid: self.level(touch.0), best_ask: self.level(touch.1) },
            touch_moved,
            time_ms,
        }
    }

    /// The next update begins the ids anew, as after a maintenance of OKX.
    pub(crate) fn reset_ids(&mut self) {
        self.resets_ids = true;
    }

    pub(crate) fn instrument(&self) -> Arc<Instrument> {
        Arc::clone(&self.instrument)
    }

    /// What is to be told at `now_ms`; `None` where the instrument has nothing of the kind.
    pub(crate) fn tell(&mut self, telling: Telling, now_ms: i64) -> Option<Event> {
        let is_index = self.instrument.weight == 0;
        let is_contract = self.is_contract();
        let has_liquidations = is_contract && self.instrument.market_type != MarketType::Options;
        match telling {
            Telling::Mark => is_contract.then(|| Event::Mark(self.mark(now_ms))),
            Telling::Funding => self.last_mark(now_ms).map(Event::Funding),
            Telling::OpenInterest => is_contract.then(|| Event::OpenInterest(self.open_interest(now_ms))),
            Telling::Liquidations if !has_liquidations => None,
            Telling::Liquidations => {
                let told = self.statistics.liquidations(&self.instrument, self.touch, now_ms);
                (!told.is_empty()).then_some(Event::Liquidations(told))
            }
            Telling::VolatilityIndex => {
                is_index.then(|| Event::VolatilityIndex(self.statistics.volatility_index(now_ms)))
            }
            Telling::Still => {
                let stands_still = self.still_revision == self.revision && !is_index;
                self.still_revision = self.revision;
                let book = StillBook { last_update_id: self.last_update_id, time_ms: now_ms };
                stands_still.then_some(Event::Still(book))
            }
        }
    }

    /// Neither spot nor an index.
    fn is_contract(&self) -> bool {
        self.instrument.weight > 0 && self.instrument.market_type != MarketType::Spot
    }

    pub(crate) fn last_mark(&mut self, now_ms: i64) -> Option<Mark> {
        if !self.is_contract() {
            return None;
        }
        Some(self.statistics.mark.clone().unwrap_or_else(|| self.mark(now_ms)))
    }

    pub(crate) fn last_open_interest(&mut self, now_ms: i64) -> Option<OpenInterest> {
        if !self.is_contract() {
            return None;
        }
        Some(self.statistics.open_interest.clone().unwrap_or_else(|| self.open_interest(now_ms)))
    }

    fn mark(&mut self, now_ms: i64) -> Mark {
        self.statistics.mark(&self.instrument, self.touch, now_ms)
    }

    fn open_interest(&mut self, now_ms: i64) -> OpenInterest {
        let mark = self.statistics.mark.clone();
        let mark = mark.unwrap_or_else(|| self.mark(now_ms));
        self.statistics.open_interest(&self.instrument, &mark, now_ms)
    }

    /// The book as it stands: `limit` levels a side.
    pub(crate) fn snapshot(&self, limit: usize) -> Snapshot {
        Snapshot {
            revision: self.revision,
            last_update_id: self.last_update_id,
            time_ms: self.last_time_ms,
            bids: self.book.bids(limit).into_iter().map(|level| self.level(level)).collect(),
            asks: self.book.asks(limit).into_iter().map(|level| self.level(level)).collect(),
        }
    }

    fn level(&self, (ticks, steps): Level) -> PriceLevel {
        (self.instrument.price(ticks), self.instrument.quantity(steps))
    }
}

/// Binance shows up to 5000 levels on REST, OKX never more than its best 400; of Deribit's whole book this is enough.
fn levels_max(market: Market) -> usize {
    match market {
        Market::BinanceSpot | Market::BinanceUsdm => 5_000,
        Market::OkxSpot | Market::OkxSwap => 400,
        Market::Deribit => 1_000,
    }
}

/// The book keeps both sides filled (its own test proves it); an impossible empty side shows as zero.
fn touch_of(book: &Book) -> (Level, Level) {
    (book.best_bid().unwrap_or_default(), book.best_ask().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Event, Walk};
    use crate::exchange::Market;
    use std::sync::Arc;

    fn walk(market: Market, seed: u64) -> Walk {
        Walk::new(Arc::new(market.instruments().remove(0)), seed, 7)
    }

    #[test]
    fn ids_are_chained_as_each_market_chains_them() {
        for market in [Market::BinanceSpot, Market::BinanceUsdm] {
            let mut walk = walk(market, 42);
            let (mut update, mut trade, mut aggregate) =
                (walk.last_update_id, walk.last_trade_id, walk.last_aggregate_id);
            let (mut sparse, mut placeholders) = (0, 0);
            for _ in 0..20_000 {
                match walk.step(0) {
                    Event::Diff(diff) => {
                        assert_eq!(diff.previous_update_id, update);
                        assert!(diff.first_update_id <= diff.last_update_id);
                        if market == Market::BinanceSpot {
                            assert_eq!(diff.first_update_id, update + 1);
                        }
                        sparse += u32::from(diff.first_update_id > update + 1);
                        update = diff.last_update_id;
                    }
                    Event::Fill(fill) => {
                        assert_eq!(fill.aggregate.id, aggregate + 1);
                        aggregate += 1;
                        assert_eq!(fill.aggregate.first_trade_id, trade + 1);
                        for print in &fill.trades {
                            assert_eq!(print.id, trade + 1);
                            trade += 1;
                            assert_eq!(print.price, fill.aggregate.price);
                        }
                        assert_eq!(fill.aggregate.last_trade_id, trade);
                        if let Some(placeholder) = fill.placeholder {
                            assert_eq!(placeholder.id, trade + 1);
                            trade += 1;
                            placeholders += 1;
                        }
                    }
                    Event::Still(_)
                    | Event::Mark(_)
                    | Event::Funding(_)
                    | Event::OpenInterest(_)
                    | Event::Liquidations(_)
                    | Event::VolatilityIndex(_) => panic!("not a step"),
                }
            }
            assert_eq!(sparse > 0, market == Market::BinanceUsdm);
            assert_eq!(placeholders > 0, market == Market::BinanceUsdm);
        }
    }

    #[test]
    fn a_seed_is_a_market_whatever_the_time() {
        let events = |seed, clock: fn(i64) -> i64| -> Vec<Event> {
            let mut walk = walk(Market::BinanceSpot, seed);
            (0..2_000)
                .map(|i| {
                    walk.step(clock(i));
                    walk.step(0)
                })
                .collect()
        };
        assert_eq!(events(1, |i| i), events(1, |i| i * 77));
        assert_ne!(events(1, |i| i), events(2, |i| i));
    }

    #[test]
    fn trades_print_at_the_touch() {
        let mut walk = walk(Market::BinanceUsdm, 3);
        for _ in 0..10_000 {
            let touch = walk.snapshot(1);
            if let Event::Fill(fill) = walk.step(0) {
                let side = if fill.aggregate.buyer_is_maker { &touch.bids[0] } else { &touch.asks[0] };
                assert_eq!(fill.aggregate.price, side.0);
            }
        }
    }
}
