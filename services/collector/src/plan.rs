//! Pure: which instruments, on which connection. The same configuration gives the same plan after every restart, and what
//! runs stays where it is when instruments come and go.

use std::collections::BTreeMap;

use marketprism_core::{DataType, Instrument};
use marketprism_exchanges::registry::{ConnectionPath, Integration};

use crate::config::ExchangeConfig;

/// One connection to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Name in logs and metrics: path and number, such as `public-0`.
    pub(crate) name: String,
    /// Path below the WebSocket base; `None` where everything is polled by REST.
    pub(crate) path: Option<&'static str>,
    pub(crate) data_types: Vec<DataType>,
    pub(crate) instruments: Vec<Instrument>,
}

impl Planned {
    /// Streams it subscribes: one of each instrument and data type that is offered. An exchange that brings several in one
    /// is asked for less.
    pub(crate) fn streams(&self, integration: &Integration) -> usize {
        let streams = |instrument| Cost::of(instrument, &self.data_types, integration).streams;
        self.instruments.iter().map(streams).sum()
    }
}

/// Sockets that are open when all of it is.
pub(crate) fn sockets(config: &ExchangeConfig, planned: &[Planned]) -> usize {
    planned.iter().filter(|one| one.path.is_some()).count() * usize::from(config.redundancy)
}

/// Packs the instruments on as few connections as the exchange's limits allow. Those of `current` stay on their
/// connections; the others take, in order, the first place that is free.
pub(crate) fn plan(
    integration: &Integration,
    config: &ExchangeConfig,
    instruments: &[Instrument],
    current: &[Planned],
) -> Vec<Planned> {
    let paths = (integration.paths)(&config.data_types(integration), &config.session_options());
    paths.iter().flat_map(|path| plan_path(integration, config, instruments, current, path)).collect()
}

fn plan_path(
    integration: &Integration,
    config: &ExchangeConfig,
    instruments: &[Instrument],
    current: &[Planned],
    path: &ConnectionPath,
) -> Vec<Planned> {
    let room = Cost::room(integration, config, path);
    let mut places = BTreeMap::new();
    for running in current {
        let number =
            running.name.strip_prefix(path.name).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        let Some(number) = number else { continue };
        places.extend(running.instruments.iter().map(|one| (one.instrument_id.as_str(), number)));
    }
    let place = |instrument: &Instrument| places.get(instrument.instrument_id.as_str()).copied();
    let costs = instruments
        .iter()
        .map(|instrument| (instrument, Cost::of(instrument, &path.data_types, integration)))
        .filter(|(_, cost)| cost.streams > 0);
    // Those that have a place are counted before the others look for one.
    let (placed, new): (Vec<_>, Vec<_>) = costs.partition(|(instrument, _)| place(instrument).is_some());

    let mut shares: BTreeMap<usize, (Cost, Vec<Instrument>)> = BTreeMap::new();
    for (instrument, cost) in placed.into_iter().chain(new) {
        // An empty connection takes any instrument: its streams stay together, however few are allowed.
        let fits =
            |number: &usize| shares.get(number).is_none_or(|(used, _)| used.plus(cost).is_within(room));
        let Some(number) = place(instrument).or_else(|| (0..=shares.len()).find(fits)) else { continue };
        let (used, share) = shares.entry(number).or_default();
        *used = used.plus(cost);
        share.push(instrument.clone());
    }
    let planned = |(number, (_, mut instruments)): (usize, (Cost, Vec<Instrument>))| {
        instruments.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let name = format!("{}-{number}", path.name);
        Planned { name, path: path.path, data_types: path.data_types.clone(), instruments }
    };
    shares.into_iter().map(planned).collect()
}

/// What an instrument takes of a connection, or what a connection has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    streams: usize,
    books: usize,
}

impl Cost {
    fn of(instrument: &Instrument, data_types: &[DataType], integration: &Integration) -> Self {
        let offered = |data_type: &&DataType| (integration.offers)(instrument, **data_type);
        let is_book = |data_type: &&DataType| **data_type == DataType::OrderBook;
        let streams = data_types.iter().filter(offered).count();
        Self { streams, books: data_types.iter().filter(offered).filter(is_book).count() }
    }

    /// What is polled by REST has no socket whose limits it could exceed.
    fn room(integration: &Integration, config: &ExchangeConfig, path: &ConnectionPath) -> Self {
        if path.path.is_none() {
            return Self { streams: usize::MAX, books: usize::MAX };
        }
        let configured = config.streams_per_connection_max.unwrap_or(usize::MAX);
        Self {
            streams: integration.streams_per_connection_max.min(configured),
            books: integration.books_per_connection_max.unwrap_or(usize::MAX),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { streams: self.streams + other.streams, books: self.books + other.books }
    }

    fn is_within(self, room: Self) -> bool {
        self.streams <= room.streams && self.books <= room.books
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use marketprism_core::MarketType;
    use marketprism_exchanges::registry;
    use proptest::prelude::*;

    use super::*;
    use crate::config::Selection;

    fn listed(numbers: impl IntoIterator<Item = usize>) -> Vec<Instrument> {
        let pair = |number: usize| {
            let base = format!("C{number:04}");
            Instrument::pair("binance", MarketType::Spot, &base, "USDT", &format!("{base}USDT")).unwrap()
        };
        numbers.into_iter().map(pair).collect()
    }

    fn spot(streams_per_connection_max: usize) -> (&'static Integration, ExchangeConfig) {
        let config = ExchangeConfig {
            streams_per_connection_max: Some(streams_per_connection_max),
            ..ExchangeConfig::default()
        };
        (registry::find("binance_spot").unwrap(), config)
    }

    fn places(planned: &[Planned]) -> BTreeMap<&str, &str> {
        let mut places = BTreeMap::new();
        for Planned { name, instruments, .. } in planned {
            places.extend(instruments.iter().map(|one| (one.instrument_id.as_str(), name.as_str())));
        }
        places
    }

    proptest! {
        #[test]
        fn limits_hold_nothing_is_missing_and_what_runs_stays(
            streams_max in 2_usize..20,
            rounds in prop::collection::vec(prop::collection::btree_set(0_usize..60, 0..60), 1..6),
        ) {
            let (integration, config) = spot(streams_max);
            let mut current: Vec<Planned> = Vec::new();
            for wanted in rounds {
                let instruments = listed(wanted);
                let next = plan(integration, &config, &instruments, &current);
                prop_assert_eq!(&next, &plan(integration, &config, &instruments, &current), "a plan is stable");
                prop_assert!(next.iter().all(|planned| planned.streams(integration) <= streams_max));
                prop_assert!(next.iter().all(|planned| !planned.instruments.is_empty()));
                let names: BTreeSet<_> = next.iter().map(|planned| &planned.name).collect();
                prop_assert_eq!(names.len(), next.len(), "a name is one connection's");
                let (before, after) = (places(&current), places(&next));
                prop_assert_eq!(after.len(), instruments.len());
                for (instrument, place) in &after {
                    prop_assert_eq!(before.get(instrument).unwrap_or(place), place, "what runs stays");
                }
                current = next;
            }
        }

        #[test]
        fn a_first_plan_needs_as_few_connections_as_the_limit_allows(
            streams_max in 2_usize..20, count in 0_usize..200,
        ) {
            let (integration, config) = spot(streams_max);
            let planned = plan(integration, &config, &listed(0..count), &[]);
            prop_assert_eq!(planned.len(), count.div_ceil(streams_max / 2));
        }
    }

    #[test]
    fn usdm_streams_take_their_own_paths() {
        let integration = registry::find("binance_usdm").unwrap();
        let paths = |trade_stream: Option<&str>| -> Vec<_> {
            let config = ExchangeConfig {
                trade_stream: trade_stream.map(str::to_owned),
                data_types: Selection::Only(vec![DataType::Trade, DataType::OrderBook]),
                ..ExchangeConfig::default()
            };
            plan(integration, &config, &listed(0..1), &[]).into_iter().map(|planned| planned.name).collect()
        };
        assert_eq!(paths(None), ["public-0", "market-0"]);
        assert_eq!(paths(Some("trade")), ["public-0"]);
    }

    #[test]
    fn a_changed_instrument_is_planned_as_it_is_now() {
        let (integration, config) = spot(10);
        let before = plan(integration, &config, &listed(0..2), &[]);
        let mut changed = listed(0..2);
        changed[1].symbol = "RENAMED-USDT".to_owned();
        let after = plan(integration, &config, &changed, &before);
        assert_eq!(after[0].instruments, changed);
    }
}
