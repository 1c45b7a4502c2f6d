//! Reads `get_instruments`: what trades now. Names, expiries and strikes come from the metadata, never from the
//! instrument's name.

use std::borrow::Cow;

use marketprism_core::{Contract, ContractUnit, Decimal, Instrument, InstrumentError, MarketType, Timestamp};
use serde::Deserialize;

use super::number::{exact, exact_if_told};
use super::{EXCHANGE, rpc};
use crate::expiry;
use crate::session::Rejected;

/// The currencies with a volatility index, which is listed nowhere: an instrument of ours whose id is the index's name, and
/// which comes with the list of options, as it is computed from them.
const VOLATILITY_INDICES: [(&str, &str); 2] = [("BTC", "btc_usd"), ("ETH", "eth_usd")];

/// An instrument; options have a strike and a type besides.
///
/// ```json
/// {"kind":"future","instrument_name":"BTC-PERPETUAL","instrument_type":"reversed","expiration_timestamp":32503708800000,"is_active":true,"contract_size":10.0,"settlement_period":"perpetual","base_currency":"BTC","counter_currency":"USD","quote_currency":"USD"}
/// {"kind":"option","instrument_name":"XRP_USDC-30JUN23-0d625-C","instrument_type":"linear","strike":0.625,"option_type":"call","settlement_period":"month", …}
/// ```
/// `quote_currency` is what prices are in: an inverse option's are in its base currency, so its strike's is `counter_currency`.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    #[serde(borrow, default)]
    instrument_type: Cow<'a, str>,
    is_active: bool,
    /// ms; of a perpetual a day of the year 3000, which no time of ours can be.
    expiration_timestamp: i64,
    #[serde(borrow, default)]
    settlement_period: Cow<'a, str>,
    #[serde(borrow)]
    base_currency: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    counter_currency: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "exact")]
    contract_size: Decimal,
    #[serde(default, deserialize_with = "exact_if_told")]
    strike: Option<Decimal>,
    #[serde(borrow, default)]
    option_type: Option<Cow<'a, str>>,
}

/// Perpetuals, futures and options that trade, and the volatility indices of the options.
pub(super) fn trading(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    let listed: Vec<Listed<'_>> = rpc::result(body)?;
    let has_options = listed.iter().any(|listed| listed.kind == "option");
    let indices = VOLATILITY_INDICES
        .iter()
        .filter(|_| has_options)
        .map(|(currency, id)| Instrument::new(EXCHANGE, MarketType::Options, (*currency).to_owned(), id));
    let instruments = listed.iter().filter(|listed| listed.is_active).filter_map(Listed::instrument);
    // A name no subject can carry is left out: whoever configured it is told that it is not listed.
    Ok(instruments.chain(indices).filter_map(Result::ok).collect())
}

/// Whether an instrument is a volatility index.
pub(super) fn is_volatility_index(instrument: &Instrument) -> bool {
    VOLATILITY_INDICES.iter().any(|(_, id)| *id == instrument.instrument_id)
}

impl Listed<'_> {
    /// `None` for what is not collected, such as combos, and for a contract whose unit is not told.
    fn instrument(&self) -> Option<Result<Instrument, InstrumentError>> {
        let quote = self.counter_currency.as_ref().unwrap_or(&self.quote_currency);
        let pair = format!("{}-{quote}", self.base_currency);
        let day = || Timestamp::from_millis(self.expiration_timestamp).map(expiry::day);
        let (market_type, symbol) = match (self.kind.as_ref(), self.settlement_period.as_ref()) {
            ("future", "perpetual") => (MarketType::Perpetual, pair),
            ("future", _) => (MarketType::Futures, format!("{pair}-{}", day()?)),
            ("option", _) => {
                let side = match self.option_type.as_deref() {
                    Some("call") => 'C',
                    Some("put") => 'P',
                    _ => return None,
                };
                // 70000, however it is written: 70000.0, 7.0e4.
                let strike = Decimal::from_units(self.strike?.units())?;
                (MarketType::Options, format!("{pair}-{}-{strike}-{side}", day()?))
            }
            _ => return None,
        };
        let unit = match (market_type, self.instrument_type.as_ref()) {
            (MarketType::Options, _) | (_, "linear") => ContractUnit::Base,
            (_, "reversed") => ContractUnit::Quote,
            _ => return None,
        };
        let contract =
            self.contract_size.is_positive().then_some(Contract { size: self.contract_size, unit })?;
        let symbol = symbol.to_uppercase();
        let instrument = Instrument::new(EXCHANGE, market_type, symbol, &self.instrument_name);
        Some(instrument.map(|instrument| Instrument { contract: Some(contract), ..instrument }))
    }
}
