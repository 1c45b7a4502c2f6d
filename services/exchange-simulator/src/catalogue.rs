//! Every instrument there can be, and which of them are listed now. An index into it means the same instrument for
//! as long as the simulator runs; what is listed changes on demand.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exchange::{Exchange, Market};
use crate::fault::Selector;
use crate::instrument::Instrument;

/// Instruments by index or by the exchange's name.
#[derive(Debug)]
pub(crate) struct Catalogue {
    instruments: Vec<Arc<Instrument>>,
    listed: Vec<AtomicBool>,
    by_name: HashMap<(Market, String), usize>,
}

impl Catalogue {
    /// Of each instrument whether it is listed at the start.
    pub(crate) fn new(instruments: Vec<(Instrument, bool)>) -> Self {
        let by_name = instruments
            .iter()
            .enumerate()
            .map(|(index, (instrument, _))| ((instrument.market, instrument.instrument_id.clone()), index))
            .collect();
        let (instruments, listed) = instruments
            .into_iter()
            .map(|(instrument, listed)| (Arc::new(instrument), AtomicBool::new(listed)))
            .unzip();
        Self { instruments, listed, by_name }
    }

    /// All of them, listed or not.
    pub(crate) fn all(&self) -> &[Arc<Instrument>] {
        &self.instruments
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Arc<Instrument>> {
        self.instruments.get(index)
    }

    /// The index of a listed instrument.
    pub(crate) fn find(&self, market: Market, instrument_id: &str) -> Option<usize> {
        let index = *self.by_name.get(&(market, instrument_id.to_owned()))?;
        self.is_listed(index).then_some(index)
    }

    pub(crate) fn is_listed(&self, index: usize) -> bool {
        self.listed.get(index).is_some_and(|listed| listed.load(Ordering::Relaxed))
    }

    /// Lists or delists the instruments of that name; their indices, none when the exchange has no such name.
    pub(crate) fn set_listed(&self, exchange: Exchange, instrument_id: &str, listed: bool) -> Vec<usize> {
        let named: Vec<usize> = Market::of(exchange)
            .filter_map(|market| self.by_name.get(&(market, instrument_id.to_owned())).copied())
            .collect();
        for listing in named.iter().filter_map(|&index| self.listed.get(index)) {
            listing.store(listed, Ordering::Relaxed);
        }
        named
    }

    /// The listed ones of `market`, with their indices.
    pub(crate) fn of(&self, market: Market) -> impl Iterator<Item = (usize, &Arc<Instrument>)> {
        self.listed().filter(move |(_, instrument)| instrument.market == market)
    }

    /// All listed ones.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (usize, &Arc<Instrument>)> {
        self.instruments.iter().enumerate().filter(|(index, _)| self.is_listed(*index))
    }

    /// The first instrument of `market`, listed or not: where streams of the whole market are.
    pub(crate) fn first(&self, market: Market) -> Option<usize> {
        self.instruments.iter().position(|instrument| instrument.market == market)
    }

    /// The listed ones that `selector` means.
    pub(crate) fn selected(&self, selector: &Selector) -> Vec<usize> {
        self.listed().filter(|(_, one)| selector.means(one)).map(|(index, _)| index).collect()
    }
}
