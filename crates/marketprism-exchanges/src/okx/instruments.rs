//! Reads `/api/v5/public/instruments`: what trades now. Names come from the metadata, never from the instrument's id.

use std::borrow::Cow;

use marketprism_core::{Contract, ContractUnit, Decimal, Instrument, MarketType, Timestamp};
use serde::Deserialize;

use super::envelope;
use crate::decode;
use crate::expiry;
use crate::session::Rejected;

/// ```json
/// {"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","uly":"BTC-USDT","instFamily":"BTC-USDT","baseCcy":"","quoteCcy":"","settleCcy":"USDT","ctVal":"0.01","ctMult":"1","ctValCcy":"BTC","ctType":"linear","expTime":"","state":"live", …}]}
/// ```
/// What does not apply is an empty text. Of dated contracts `expTime` is the expiry, of others the delisting.
#[derive(Debug, Deserialize)]
struct Row<'a> {
    #[serde(borrow, rename = "instType")]
    instrument_type: Cow<'a, str>,
    #[serde(borrow, rename = "instId")]
    instrument_id: Cow<'a, str>,
    #[serde(borrow, default, rename = "instFamily")]
    family: Cow<'a, str>,
    #[serde(borrow, default, rename = "baseCcy")]
    base: Cow<'a, str>,
    #[serde(borrow, default, rename = "quoteCcy")]
    quote: Cow<'a, str>,
    #[serde(borrow, default, rename = "uly")]
    underlying: Cow<'a, str>,
    #[serde(borrow, default, rename = "ctVal")]
    contract_value: Cow<'a, str>,
    #[serde(borrow, default, rename = "ctMult")]
    contract_multiplier: Cow<'a, str>,
    #[serde(borrow, default, rename = "ctValCcy")]
    contract_currency: Cow<'a, str>,
    #[serde(borrow, default, rename = "ctType")]
    contract_type: Cow<'a, str>,
    #[serde(borrow, default, rename = "expTime")]
    expiry: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
}

/// The instruments that trade. A row that cannot be read, or has a name no subject can carry, is left out: whoever
/// configured it is told that it is not listed.
///
/// # Errors
/// When there is no list, or nothing in it can be read.
pub(super) fn read(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    let mut instruments = Vec::new();
    let read = decode::each(envelope::data(body)?, |row: Row<'_>| {
        // Rows before their listing (`preopen`) have no contract yet.
        if row.state == "live" {
            instruments.extend(row.instrument());
        }
        Ok(())
    });
    match read {
        Err(rejected) if instruments.is_empty() => Err(rejected),
        _ => Ok(instruments),
    }
}

impl Row<'_> {
    fn instrument(&self) -> Option<Instrument> {
        let (market_type, symbol, contract) = match self.instrument_type.as_ref() {
            "SPOT" => (MarketType::Spot, format!("{}-{}", self.base, self.quote), None),
            "SWAP" => (MarketType::Perpetual, self.pair().to_owned(), Some(self.contract()?)),
            "FUTURES" => {
                let expiry = Timestamp::from_millis(self.expiry.parse().ok()?)?;
                let symbol = format!("{}-{}", self.pair(), expiry::day(expiry));
                (MarketType::Futures, symbol, Some(self.contract()?))
            }
            _ => return None,
        };
        let instrument =
            Instrument::new(super::EXCHANGE, market_type, symbol.to_uppercase(), &self.instrument_id);
        Some(Instrument { contract, ..instrument.ok()? })
    }

    /// Base and quote of a contract. The family tells apart what has one underlying: `BTC-USD` and `BTC-USD_UM`.
    fn pair(&self) -> &str {
        if self.family.is_empty() { &self.underlying } else { &self.family }
    }

    fn contract(&self) -> Option<Contract> {
        let decimal = |text: &str| Decimal::parse(text.as_bytes()).ok().filter(|value| value.is_positive());
        let multiplier = match self.contract_multiplier.as_ref() {
            "" => "1",
            multiplier => multiplier,
        };
        let size = decimal(&self.contract_value)?.checked_mul(decimal(multiplier)?)?;
        let base = self.underlying.split('-').next().filter(|base| !base.is_empty());
        let unit = match self.contract_type.as_ref() {
            _ if base == Some(&self.contract_currency) => ContractUnit::Base,
            "linear" if self.contract_currency.is_empty() => ContractUnit::Base,
            // Inverse ones, and linear ones counted in the quote currency.
            "linear" | "inverse" => ContractUnit::Quote,
            _ => return None,
        };
        Some(Contract { size, unit })
    }
}
