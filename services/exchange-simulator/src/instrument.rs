//! What is traded here: market types, instruments, contracts. The built-in lists are each exchange's `listing.rs`.
//! Prices are whole ticks and quantities whole steps; only `units.rs` makes text of them.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::exchange::Market;
use crate::units::{Units, decimal};

/// What kind of instrument, in the words of the pipeline's subjects.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum MarketType {
    /// Base for quote, at once.
    Spot,
    /// Contracts without an end.
    Perpetual,
    /// Contracts with a delivery date.
    Futures,
    /// Options, and the volatility indices made of them.
    Options,
}

impl MarketType {
    /// The name in subjects, the ledger and control requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Perpetual => "perpetual",
            Self::Futures => "futures",
            Self::Options => "options",
        }
    }
}

/// One tradable instrument, or an index (weight 0, nothing but its value is sent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Where it is served.
    pub market: Market,
    /// What it is.
    pub market_type: MarketType,
    /// The exchange's own name, as its lists write it: `BTCUSDT`, `BTC-USDT-SWAP`.
    pub instrument_id: String,
    /// Base asset: `BTC`.
    pub base: String,
    /// Quote asset: `USDT`; empty for an index.
    pub quote: String,
    /// When it ends and what it ends at, as the canonical symbol says it: `20261225`, `20261225-70000-C`.
    pub expiry: Option<Expiry>,
    /// What a quantity on the wire counts.
    pub sizes: Sizes,
    /// The tick, in units of 10^-`price_decimals`.
    pub tick_units: i64,
    /// Digits after the point of a price on the wire.
    pub price_decimals: u32,
    /// The quantity step, in units of 10^-`quantity_decimals`.
    pub step_units: i64,
    /// Digits after the point of a quantity on the wire.
    pub quantity_decimals: u32,
    /// Where the walk starts, in ticks.
    pub start_ticks: i64,
    /// A usual quantity, in steps.
    pub usual_steps: i64,
    /// How often it is picked, relative to the others; 0 is never.
    pub weight: u64,
}

/// The end of a dated contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// The canonical symbol's ending: `20261225` or `20261225-70000-C`.
    pub label: &'static str,
}

/// What a quantity on the wire counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Base units.
    Base,
    /// Numbers of contracts (OKX).
    Contracts(Contract),
    /// The contract's own unit, base or quote; contracts are the amount by the size (Deribit).
    Amount(Contract),
}

/// What one contract is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// Its size, in units of 10^-`size_decimals`.
    pub size_units: i64,
    /// Decimals of `size_units`.
    pub size_decimals: u32,
    /// True: the size is quote units, such as 100 USD (inverse); false: base units.
    pub inverse: bool,
}

impl Contract {
    /// The size as the exchange's lists write it.
    pub(crate) fn size(&self) -> Units {
        Units::new(self.size_units.into(), self.size_decimals)
    }
}

impl Instrument {
    /// The canonical symbol: `BTC-USDT`, `BTC-USD-20261225-70000-C`, of an index `BTC`.
    #[must_use]
    pub fn symbol(&self) -> String {
        let mut symbol = self.base.clone();
        let expiry = self.expiry.as_ref().map_or("", |expiry| expiry.label);
        for part in [self.quote.as_str(), expiry].into_iter().filter(|part| !part.is_empty()) {
            symbol.push('-');
            symbol.push_str(part);
        }
        symbol
    }

    /// The contract, where quantities are not plain base units.
    #[must_use]
    pub fn contract(&self) -> Option<&Contract> {
        match &self.sizes {
            Sizes::Base => None,
            Sizes::Contracts(contract) | Sizes::Amount(contract) => Some(contract),
        }
    }

    /// Whether it is no index, has no end and counts in base units.
    pub(crate) fn is_pair(&self) -> bool {
        let is_index = self.quote.is_empty();
        !is_index && self.expiry.is_none() && self.contract().is_none_or(|one| !one.inverse)
    }

    /// The same of another base asset.
    pub(crate) fn with_base(&self, base: &str) -> Self {
        let instrument_id = self.instrument_id.replacen(&self.base, base, 1);
        Self { base: base.to_owned(), instrument_id, ..self.clone() }
    }

    /// A quantity of the wire in base units, rounded to 18 decimals where it is divided by the price. `None` where
    /// `quantity` or `price` is no plain decimal or the price is zero.
    pub(crate) fn base_quantity(&self, quantity: &str, price: &str) -> Option<CompactString> {
        let amount = match &self.sizes {
            Sizes::Base => return Some(quantity.into()),
            Sizes::Contracts(contract) => Units::parse(quantity)?.times(contract.size())?,
            Sizes::Amount(_) => Units::parse(quantity)?,
        };
        if self.contract().is_some_and(|contract| contract.inverse) {
            Some(amount.over(Units::parse(price)?)?.plain())
        } else {
            Some(amount.plain())
        }
    }

    /// A quantity of the wire in contracts; `None` where the exchange has none.
    pub(crate) fn contracts(&self, quantity: &str) -> Option<CompactString> {
        match &self.sizes {
            Sizes::Base => None,
            Sizes::Contracts(_) => Some(quantity.into()),
            Sizes::Amount(contract) => Some(Units::parse(quantity)?.over(contract.size())?.plain()),
        }
    }

    /// Eight hours; four for the bundles of a thousand coins.
    pub(crate) fn funding_interval_ms(&self) -> i64 {
        let hours = if self.base.starts_with("1000") { 4 } else { 8 };
        hours * 3_600_000
    }

    /// A price in wire units, from ticks.
    pub(crate) fn price_units(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(self.tick_units)
    }

    /// A price as the exchange writes it, from ticks.
    pub(crate) fn price(&self, ticks: i64) -> CompactString {
        decimal(self.price_units(ticks), self.price_decimals)
    }

    /// A quantity as the exchange writes it, from steps.
    pub(crate) fn quantity(&self, steps: i64) -> CompactString {
        decimal(steps.saturating_mul(self.step_units), self.quantity_decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::{Contract, Instrument, MarketType, Sizes};
    use crate::exchange::Market;

    fn sized(sizes: Sizes) -> Instrument {
        Instrument {
            market: Market::OkxSwap,
            market_type: MarketType::Perpetual,
            instrument_id: String::new(),
            base: "BTC".to_owned(),
            quote: "USD".to_owned(),
            expiry: None,
            sizes,
            tick_units: 1,
            price_decimals: 1,
            step_units: 1,
            quantity_decimals: 2,
            start_ticks: 1,
            usual_steps: 1,
            weight: 1,
        }
    }

    #[test]
    fn another_base_is_another_name_and_nothing_else() {
        let btc = Instrument { instrument_id: "BTC-USDC-SWAP".to_owned(), ..sized(Sizes::Base) };
        let other = btc.with_base("SIM17");
        assert_eq!((other.instrument_id.as_str(), other.symbol().as_str()), ("SIM17-USDC-SWAP", "SIM17-USD"));
        assert_eq!(other.with_base("BTC"), btc);
    }

    #[test]
    fn quantities_in_base_units_and_contracts() {
        let linear = Contract { size_units: 1, size_decimals: 2, inverse: false };
        let inverse = Contract { size_units: 100, size_decimals: 0, inverse: true };
        for (sizes, quantity, price, base, contracts) in [
            (Sizes::Base, "1.50", "2", "1.50", None),
            (Sizes::Contracts(linear), "7.69", "83725.8", "0.0769", Some("7.69")),
            (Sizes::Contracts(inverse), "3", "80000", "0.00375", Some("3")),
            (Sizes::Contracts(inverse), "1", "3", "33.333333333333333333", Some("1")),
            (Sizes::Amount(Contract { size_units: 10, ..inverse }), "8450", "65000", "0.13", Some("845")),
            (Sizes::Amount(linear), "0.25", "65000", "0.25", Some("25")),
        ] {
            let instrument = sized(sizes);
            assert_eq!(instrument.base_quantity(quantity, price).as_deref(), Some(base), "{sizes:?}");
            assert_eq!(instrument.contracts(quantity).as_deref(), contracts, "{sizes:?}");
        }
        assert_eq!(sized(Sizes::Contracts(inverse)).base_quantity("1", "0"), None);
    }
}
