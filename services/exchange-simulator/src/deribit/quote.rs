//! What can be said of an instrument at one moment: its prices, open interest and book, for `ticker.rs` to write.

use compact_str::CompactString;

use crate::event::{Mark, OpenInterest, Snapshot};
use crate::exchange::{Exchange, Market};
use crate::hub::Hub;
use crate::instrument::{Instrument, MarketType};

/// The facts, all of one moment.
#[derive(Debug)]
pub(crate) struct Quote {
    pub(crate) mark: Mark,
    /// Of what the contract is about, in USD: not the option's own price.
    pub(crate) index_price: CompactString,
    pub(crate) open_interest: OpenInterest,
    pub(crate) last_price: Option<CompactString>,
    pub(crate) book: Snapshot,
    pub(crate) time_ms: i64,
}

impl Quote {
    /// The facts of the instrument at `index`, with so many levels of its book.
    pub(crate) fn of(hub: &Hub, index: usize, instrument: &Instrument, levels_max: usize) -> Option<Self> {
        let generator = hub.generator()?;
        let time_ms = hub.now_ms(Exchange::Deribit);
        let mark = generator.mark(index, time_ms)?;
        Some(Self {
            index_price: index_price(hub, instrument, &mark)?,
            mark,
            open_interest: generator.open_interest(index, time_ms)?,
            last_price: hub.history.trades(index, None, 1).pop().map(|trade| trade.price),
            book: generator.snapshot(index, levels_max)?,
            time_ms,
        })
    }
}

/// The index behind `instrument`: an option has that of its currency's perpetual.
pub(crate) fn index_price(hub: &Hub, instrument: &Instrument, mark: &Mark) -> Option<CompactString> {
    if instrument.market_type != MarketType::Options {
        return Some(mark.index_price.clone());
    }
    let perpetual = hub.catalogue.find(Market::Deribit, &format!("{}-PERPETUAL", instrument.base))?;
    Some(hub.generator()?.mark(perpetual, mark.time_ms)?.index_price)
}
