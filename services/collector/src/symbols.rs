//! Pure: which of an exchange's instruments are wanted, by canonical symbol, pattern or `all`.

use std::collections::BTreeSet;

use marketprism_core::Instrument;
use marketprism_exchanges::registry::Integration;

use crate::config::{ExchangeConfig, Selection};

/// What the configuration means, given an instrument list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// The wanted instruments, sorted by symbol.
    pub(crate) instruments: Vec<Instrument>,
    /// Configured symbols and patterns that the exchange lists nothing for, with a hint where there is one.
    pub(crate) unlisted: Vec<String>,
    /// How many match beyond `instruments_max`.
    pub(crate) over: usize,
}

impl Selected {
    /// What is wrong with the configured symbols, in words; `None` when nothing is.
    pub(crate) fn complaint(&self, id: &str) -> Option<String> {
        let mut complaints = Vec::new();
        if !self.unlisted.is_empty() {
            complaints.push(format!("{id} does not list {}", self.unlisted.join(", ")));
        }
        if self.over > 0 {
            let over = self.over;
            complaints
                .push(format!("{id}: {over} instruments more match than exchanges.{id}.instruments_max"));
        }
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }
}

/// Applies the configuration to what is listed. What was wanted before (`current`) has precedence where there are too many.
pub(crate) fn select(
    integration: &Integration,
    config: &ExchangeConfig,
    listed: &[Instrument],
    current: &BTreeSet<String>,
) -> Selected {
    let data_types = config.data_types(integration);
    let offered = |instrument: &&Instrument| {
        config.market_types.contains(instrument.market_type)
            && data_types.iter().any(|data_type| (integration.offers)(instrument, *data_type))
    };
    let is_wanted = |instrument: &&Instrument| match &config.symbols {
        Selection::All => true,
        Selection::Only(named) => named.iter().any(|pattern| matches(pattern, &instrument.symbol)),
    };
    let is_excluded =
        |instrument: &Instrument| config.exclude.iter().any(|pattern| matches(pattern, &instrument.symbol));
    let is_named = |instrument: &Instrument| config.symbols.named().contains(&instrument.symbol);

    let wanted = listed.iter().filter(offered).filter(is_wanted).filter(|one| !is_excluded(one));
    let mut instruments: Vec<_> = wanted.cloned().collect();
    instruments.sort_by(|a, b| a.symbol.cmp(&b.symbol).then_with(|| a.instrument_id.cmp(&b.instrument_id)));
    instruments.dedup_by(|a, b| a.instrument_id == b.instrument_id);
    let over = instruments.len().saturating_sub(config.instruments_max);
    if over > 0 {
        instruments.sort_by_key(|one| (!is_named(one), !current.contains(&one.instrument_id)));
        instruments.truncate(config.instruments_max);
        instruments.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    }

    let is_listed =
        |pattern: &&String| listed.iter().filter(offered).any(|one| matches(pattern, &one.symbol));
    let unlisted = config.symbols.named().iter().filter(|pattern| !is_listed(pattern));
    Selected { unlisted: unlisted.map(|pattern| hinted(pattern, listed)).collect(), instruments, over }
}

/// Whether a symbol is named by a pattern, in which `*` stands for any characters, also none.
fn matches(pattern: &str, symbol: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == symbol };
    let Some(mut left) = symbol.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The leftmost place leaves the most for the parts after it.
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(last)
}

/// The pattern, and what may have been meant: users know the exchange's own names better than the canonical ones.
fn hinted(pattern: &str, listed: &[Instrument]) -> String {
    match listed.iter().find(|one| one.instrument_id == *pattern) {
        Some(meant) => format!("{pattern} (here it is called {})", meant.symbol),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use marketprism_core::MarketType;
    use marketprism_exchanges::registry;

    use super::*;

    fn selected(config: &ExchangeConfig) -> Selected {
        let pairs = [("BTC", "USDT"), ("ETH", "USDT"), ("ETH", "BTC"), ("SOL", "USDC")];
        let listed: Vec<_> = pairs
            .iter()
            .map(|(base, quote)| {
                let id = format!("{base}{quote}");
                Instrument::pair("binance", MarketType::Spot, base, quote, &id).unwrap()
            })
            .collect();
        select(registry::find("binance_spot").unwrap(), config, &listed, &["SOLUSDC".to_owned()].into())
    }

    fn config(symbols: &[&str], exclude: &[&str]) -> ExchangeConfig {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ExchangeConfig {
            symbols: Selection::Only(owned(symbols)),
            exclude: owned(exclude),
            ..ExchangeConfig::default()
        }
    }

    fn symbols(config: &ExchangeConfig) -> Vec<String> {
        selected(config).instruments.into_iter().map(|instrument| instrument.symbol).collect()
    }

    #[test]
    fn names_patterns_and_all_choose_and_exclusions_win() {
        assert_eq!(symbols(&config(&["ETH-USDT", "BTC-USDT", "*-USDT"], &[])), ["BTC-USDT", "ETH-USDT"]);
        assert_eq!(symbols(&config(&["ETH-*", "S*-*C"], &["*-BTC"])), ["ETH-USDT", "SOL-USDC"]);
        let all = ExchangeConfig { symbols: Selection::All, ..config(&[], &[]) };
        assert_eq!(symbols(&all).len(), 4);
        assert_eq!(selected(&all).complaint("binance_spot"), None);
    }

    #[test]
    fn what_is_not_listed_is_named_and_the_others_stay() {
        let chosen = selected(&config(&["ETH-USDT", "NOPE-USDT", "*-EUR", "BTCUSDT"], &[]));
        assert_eq!(chosen.instruments.len(), 1);
        let complaint = "binance_spot does not list NOPE-USDT, *-EUR, BTCUSDT (here it is called BTC-USDT)";
        assert_eq!(chosen.complaint("binance_spot").as_deref(), Some(complaint));
        // What is excluded is listed all the same.
        assert_eq!(selected(&config(&["ETH-USDT", "BTC-USDT"], &["BTC-*"])).unlisted, Vec::<String>::new());
    }

    #[test]
    fn too_many_are_cut_with_the_named_and_the_running_kept() {
        let two = ExchangeConfig { instruments_max: 2, ..config(&["*", "ETH-USDT"], &[]) };
        assert_eq!(symbols(&two), ["ETH-USDT", "SOL-USDC"], "one is named, one is running");
        let complaint = selected(&two).complaint("binance_spot").unwrap();
        assert_eq!(
            complaint,
            "binance_spot: 2 instruments more match than exchanges.binance_spot.instruments_max"
        );
    }

    #[test]
    fn a_star_is_any_characters() {
        for (pattern, symbol, is_match) in [
            ("*", "BTC-USDT", true),
            ("BTC-USDT", "BTC-USDT", true),
            ("BTC-USDT", "BTC-USDT-20261225", false),
            ("BTC-*", "BTC-USDT", true),
            ("BTC-*", "WBTC-USDT", false),
            ("*-USDT", "BTC-USDT-20261225", false),
            ("*-USD*", "BTC-USDT-20261225", true),
            ("*B*B*", "AB", false),
            ("A*A", "A", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, symbol), is_match, "{pattern} {symbol}");
        }
    }
}
