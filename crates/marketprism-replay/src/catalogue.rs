//! Which instruments a capture is about: captures name them in their frames, and what they are is in the exchange's
//! instrument list, where that was captured or given.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use marketprism_core::{Instrument, MarketType};
use marketprism_exchanges::Rejected;
use marketprism_exchanges::registry::Integration;

/// Where a frame names its instrument; what follows is data.
const NAME_BYTES_MAX: usize = 512;
/// Names remembered as none of ours; more only cost the looking up.
const UNKNOWN_MAX: usize = 10_000;
/// Without a list a pair's name is split before one of these, the longest first.
const QUOTES: &[&str] =
    &["FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "TRY", "BRL", "JPY", "BTC", "ETH", "BNB"];

/// The instruments known, and those heard.
#[derive(Debug)]
pub(crate) struct Catalogue {
    integration: &'static Integration,
    market_type: MarketType,
    listed: BTreeMap<String, Instrument>,
    heard: BTreeMap<CompactString, Instrument>,
    unknown: BTreeSet<CompactString>,
}

impl Catalogue {
    pub(crate) fn new(integration: &'static Integration, market_type: MarketType) -> Self {
        let (listed, heard, unknown) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { integration, market_type, listed, heard, unknown }
    }

    /// Whether a recorded answer is an instrument list of this market.
    pub(crate) fn is_list(&self, path: &str) -> bool {
        let route = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
        self.integration.instruments_requests.iter().any(|request| route(request.path) == route(path))
    }

    /// Learns an instrument list.
    pub(crate) fn learn(&mut self, body: &[u8]) -> Result<(), Rejected> {
        for instrument in (self.integration.instruments)(body)? {
            if instrument.market_type == self.market_type {
                self.listed.insert(instrument.instrument_id.clone(), instrument);
            }
        }
        self.unknown.clear();
        Ok(())
    }

    /// An instrument that this frame names and no frame named before, if `is_wanted`.
    pub(crate) fn hear(&mut self, frame: &str, is_wanted: impl Fn(&Instrument) -> bool) -> bool {
        let start = frame.as_bytes().get(..NAME_BYTES_MAX).unwrap_or(frame.as_bytes());
        for word in words(start) {
            if self.heard.contains_key(word) {
                return false;
            }
            if self.unknown.contains(word) {
                continue;
            }
            match self.instrument(word).filter(&is_wanted) {
                Some(instrument) => {
                    self.heard.insert(word.into(), instrument);
                    return true;
                }
                None if self.unknown.len() < UNKNOWN_MAX => {
                    self.unknown.insert(word.into());
                }
                None => {}
            }
        }
        false
    }

    /// Every instrument heard so far.
    pub(crate) fn heard(&self) -> Vec<Instrument> {
        self.heard.values().cloned().collect()
    }

    /// Streams write some ids in lower case.
    fn instrument(&self, word: &str) -> Option<Instrument> {
        let name = word.to_uppercase();
        if !self.listed.is_empty() {
            return self.listed.get(word).or_else(|| self.listed.get(&name)).cloned();
        }
        let (base, quote) = match word.split_once('-') {
            // Channels have dashes, too, and are lower case.
            Some(pair) if word == name => pair,
            Some(_) => return None,
            None => QUOTES.iter().find_map(|quote| Some((name.strip_suffix(quote)?, *quote)))?,
        };
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let pair = || Instrument::pair(self.integration.exchange, self.market_type, base, quote, &name).ok();
        (is_name(base) && is_name(quote)).then(pair).flatten()
    }
}

/// What could be names: runs of letters, digits, `-` and `_`.
fn words(start: &[u8]) -> impl Iterator<Item = &str> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    start
        .split(move |byte| !is_part(byte))
        .filter_map(|word| str::from_utf8(word).ok())
        .filter(|word| word.len() > 2)
}

#[cfg(test)]
mod tests {
    use marketprism_exchanges::registry;

    use super::*;

    fn catalogue(integration: &str) -> Catalogue {
        Catalogue::new(registry::find(integration).unwrap(), MarketType::Spot)
    }

    fn symbols(catalogue: &Catalogue) -> Vec<String> {
        catalogue.heard().into_iter().map(|instrument| instrument.symbol).collect()
    }

    #[test]
    fn pairs_are_heard_once_where_there_is_no_list() {
        let mut binance = catalogue("binance_spot");
        let frame = r#"{"stream":"ethusdt@trade","data":{"e":"trade","s":"ETHUSDT"}}"#;
        assert!(binance.hear(frame, |_| true));
        assert!(!binance.hear(frame, |_| true));
        assert!(!binance.hear(r#"{"result":null,"id":1}"#, |_| true));
        assert_eq!(symbols(&binance), ["ETH-USDT"]);

        let mut okx = catalogue("okx_spot");
        let frame = |id: &str| format!(r#"{{"arg":{{"channel":"books-l2-tbt","instId":"{id}"}},"data":[]}}"#);
        assert!(okx.hear(&frame("BTC-DAI"), |_| true));
        assert!(!okx.hear(r#"{"arg":{"channel":"index-tickers"}}"#, |_| true));
        assert!(!okx.hear(&frame("BTC-USDT-SWAP"), |_| true), "a contract's size is in a list only");
        assert_eq!(symbols(&okx), ["BTC-DAI"]);
    }

    #[test]
    fn a_list_says_what_names_mean() {
        let mut okx = catalogue("okx_spot");
        assert!(okx.is_list("/api/v5/public/instruments?instType=SPOT"));
        assert!(!okx.is_list("/api/v5/market/books?instId=BTC-USDT"));
        let list = r#"{"code":"0","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","state":"live"}]}"#;
        okx.learn(list.as_bytes()).unwrap();
        assert!(okx.hear("BTC-USDT", |_| true));
        assert!(!okx.hear("ETH-USDT", |_| true), "not listed");
        assert!(!catalogue("okx_spot").hear("BTC-USDT", |instrument| instrument.symbol == "ETH-USDT"));
    }
}
