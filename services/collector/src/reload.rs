//! Pure: what a new configuration changes of the one that runs.

use std::collections::BTreeMap;

use crate::config::{Config, ExchangeConfig};

/// What is to be done to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not collected so far.
    Start,
    /// No longer collected.
    Stop,
    /// Other symbols; its connections stay.
    Select,
    /// Something that every one of its connections is made of: they are closed and opened again.
    Restart,
}

/// The differences of two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// By exchange.
    pub(crate) steps: BTreeMap<String, Step>,
    /// Sections that only a restart of the process applies.
    pub(crate) needs_restart: Vec<&'static str>,
}

/// What leads from `before` to `after`.
pub(crate) fn difference(before: &Config, after: &Config) -> Difference {
    let sections = [
        ("logging", before.logging != after.logging),
        ("admin", before.admin != after.admin),
        ("shutdown", before.shutdown != after.shutdown),
        ("nats", before.nats != after.nats),
        ("wait", before.wait != after.wait),
        ("publisher", before.publisher != after.publisher),
        ("queues", before.queues != after.queues),
        ("pressure", before.pressure != after.pressure),
        ("reconnect", before.reconnect != after.reconnect),
        ("control", before.control != after.control),
        ("metrics", before.metrics != after.metrics),
    ];
    let is_proxy_new = before.proxy != after.proxy;
    let step = |id: &String, after: &ExchangeConfig| {
        let running = before.exchanges.get(id).filter(|before| before.enabled);
        let Some(before) = running else { return after.enabled.then_some(Step::Start) };
        // Its own proxy covers the collector's.
        if !after.enabled {
            Some(Step::Stop)
        } else if is_proxy_new && after.proxy.is_none() || with_symbols_of(before, after) != *after {
            Some(Step::Restart)
        } else {
            (before != after).then_some(Step::Select)
        }
    };
    let steps = after.exchanges.iter().filter_map(|(id, after)| Some((id.clone(), step(id, after)?)));
    Difference {
        steps: steps.collect(),
        needs_restart: sections.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect(),
    }
}

/// `exchange` with the symbols of `other`: what a running exchange can be told.
fn with_symbols_of(exchange: &ExchangeConfig, other: &ExchangeConfig) -> ExchangeConfig {
    ExchangeConfig {
        symbols: other.symbols.clone(),
        exclude: other.exclude.clone(),
        market_types: other.market_types.clone(),
        instruments_max: other.instruments_max,
        instruments_refresh: other.instruments_refresh,
        ..exchange.clone()
    }
}

#[cfg(test)]
mod tests {
    use marketprism_service::{HumanDuration, Secret};

    use super::*;
    use crate::config::Selection;

    fn steps(change: impl FnOnce(&mut Config)) -> (Vec<(String, Step)>, Vec<&'static str>) {
        let before = Config::default();
        let mut after = before.clone();
        change(&mut after);
        let difference = difference(&before, &after);
        (difference.steps.into_iter().collect(), difference.needs_restart)
    }

    fn spot(config: &mut Config) -> &mut ExchangeConfig {
        config.exchanges.get_mut("binance_spot").unwrap()
    }

    #[test]
    fn symbols_change_in_place_and_the_rest_opens_connections_anew() {
        let of_spot = |step| vec![("binance_spot".to_owned(), step)];
        assert_eq!(steps(|_| {}), (vec![], vec![]));
        assert_eq!(steps(|config| spot(config).symbols = Selection::All).0, of_spot(Step::Select));
        assert_eq!(steps(|config| spot(config).instruments_max = 7).0, of_spot(Step::Select));
        assert_eq!(steps(|config| spot(config).enabled = false).0, of_spot(Step::Stop));
        assert_eq!(steps(|config| spot(config).redundancy = 2).0, of_spot(Step::Restart));
        let started = difference(
            &{
                let mut before = Config::default();
                spot(&mut before).enabled = false;
                before
            },
            &Config::default(),
        );
        assert_eq!(started.steps.into_iter().collect::<Vec<_>>(), of_spot(Step::Start));
    }

    #[test]
    fn a_new_proxy_concerns_those_without_one_of_their_own() {
        let (steps, _) = steps(|config| {
            config.proxy = Some(Secret::new("http://127.0.0.1:3128"));
        });
        assert!(steps.len() > 1 && steps.iter().all(|(_, step)| *step == Step::Restart));
    }

    #[test]
    fn sections_of_the_process_are_named() {
        let (steps, sections) = steps(|config| {
            config.wait = HumanDuration::from_secs(1);
            config.nats.url = "nats://127.0.0.1:1".to_owned();
        });
        assert_eq!((steps, sections), (vec![], vec!["nats", "wait"]));
    }
}
