//! Pure: which instruments, on which connection. The same configuration gives the same plan after every restart.

use marketprism_core::{DataType, Instrument};
use marketprism_exchanges::registry::Integration;

use crate::config::ExchangeConfig;

/// One connection to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Name in logs and metrics: path and number, such as `public-0`.
    pub(crate) name: String,
    /// Path below the WebSocket base.
    pub(crate) path: Option<&'static str>,
    pub(crate) data_types: Vec<DataType>,
    pub(crate) instruments: Vec<Instrument>,
}

/// The configured symbols that are listed, as instruments sorted by symbol, and those that are not.
pub(crate) fn resolve(symbols: &[String], listed: &[Instrument]) -> (Vec<Instrument>, Vec<String>) {
    let (mut found, mut unlisted) = (Vec::new(), Vec::new());
    for symbol in symbols {
        match listed.iter().find(|instrument| instrument.symbol == *symbol) {
            Some(instrument) => found.push(instrument.clone()),
            None => unlisted.push(symbol.clone()),
        }
    }
    found.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    found.dedup();
    (found, unlisted)
}

/// Packs the instruments on as few connections as the exchange's limits allow.
pub(crate) fn plan(
    integration: &Integration,
    config: &ExchangeConfig,
    instruments: &[Instrument],
) -> Vec<Planned> {
    let configured = config.streams_per_connection_max.unwrap_or(usize::MAX);
    let streams_max = integration.streams_per_connection_max.min(configured);
    let mut planned = Vec::new();
    for path in (integration.paths)(&config.data_types, &config.session_options()) {
        let per_connection = (streams_max / path.data_types.len().max(1)).max(1);
        for (number, share) in instruments.chunks(per_connection).enumerate() {
            planned.push(Planned {
                name: format!("{}-{number}", path.name),
                path: path.path,
                data_types: path.data_types.clone(),
                instruments: share.to_vec(),
            });
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use marketprism_core::MarketType;
    use marketprism_exchanges::registry;

    use super::*;

    fn listed(count: usize) -> Vec<Instrument> {
        let pair = |number: usize| {
            let base = format!("C{number:04}");
            Instrument::pair("binance", MarketType::Spot, &base, "USDT", &format!("{base}USDT")).unwrap()
        };
        (0..count).map(pair).collect()
    }

    #[test]
    fn a_symbol_that_is_not_listed_is_named_and_the_others_stay() {
        let symbols = ["C0002-USDT", "NOPE-USDT", "C0001-USDT", "C0001-USDT"].map(str::to_owned);
        let (found, unlisted) = resolve(&symbols, &listed(3));
        let found: Vec<_> = found.iter().map(|instrument| instrument.symbol.as_str()).collect();
        assert_eq!(found, ["C0001-USDT", "C0002-USDT"]);
        assert_eq!(unlisted, ["NOPE-USDT"]);
    }

    #[test]
    fn no_connection_has_more_streams_than_allowed_and_none_is_missing() {
        let integration = registry::find("binance_spot").unwrap();
        let config = ExchangeConfig { streams_per_connection_max: Some(7), ..ExchangeConfig::default() };
        let planned = plan(integration, &config, &listed(10));
        assert!(planned.iter().all(|planned| planned.instruments.len() * planned.data_types.len() <= 7));
        let placed: usize = planned.iter().map(|planned| planned.instruments.len()).sum();
        assert_eq!(placed, 10);
        assert_eq!(planned, plan(integration, &config, &listed(10)), "a plan is stable");
    }

    #[test]
    fn usdm_streams_take_their_own_paths() {
        let integration = registry::find("binance_usdm").unwrap();
        let paths = |trade_stream: Option<&str>| -> Vec<_> {
            let trade_stream = trade_stream.map(str::to_owned);
            let config = ExchangeConfig { trade_stream, ..ExchangeConfig::default() };
            plan(integration, &config, &listed(1)).into_iter().map(|planned| planned.name).collect()
        };
        assert_eq!(paths(None), ["public-0", "market-0"]);
        assert_eq!(paths(Some("trade")), ["public-0"]);
    }
}
