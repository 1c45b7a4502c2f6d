//! What the exchange pushes about contracts besides trades and books: funding, open interest, liquidations.

use std::borrow::Cow;

use marketprism_core::message::{FundingRate, Liquidation, OpenInterest};
use marketprism_core::{Decimal, Source, TakerSide, Timestamp};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::trades::base_quantity;
use crate::context::{Context, SECOND};
use crate::decode::millis;
use crate::session::Rejected;

/// The next rate, of a channel that repeats it every 30 to 90 s:
/// ```json
/// {"formulaType":"withRate","fundingRate":"0.0000663322867090","fundingTime":"1788508800000","impactValue":"20000","instId":"BTC-USDT-SWAP","instType":"SWAP","interestRate":"0.0001","maxFundingRate":"0.00375","method":"current_period","minFundingRate":"-0.00375","nextFundingRate":"","nextFundingTime":"1788537600000","premium":"-0.0004527652078389","prevFundingTime":"1788480000000","settFundingRate":"0.0000418741079605","settState":"settled","ts":"1788487507788"}
/// ```
/// `fundingTime` is the settlement to come at which the rate applies, `nextFundingTime` the one after it.
#[derive(Debug, Deserialize)]
pub(super) struct FundingRow {
    #[serde(rename = "fundingRate")]
    rate: Decimal,
    #[serde(rename = "fundingTime", deserialize_with = "millis")]
    time: Timestamp,
    #[serde(rename = "nextFundingTime", deserialize_with = "millis")]
    next_time: Timestamp,
    #[serde(deserialize_with = "millis")]
    pub(super) ts: Timestamp,
}

impl FundingRow {
    pub(super) fn emit(&self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let hours = self.next_time.micros_since(self.time) / (3_600 * SECOND);
        context.emit(
            FundingRate::new(
                context.origin(Source::Ws),
                self.ts,
                self.rate,
                Some(self.time),
                Some(self.next_time),
                // In channels of their own.
                None,
                None,
                u32::try_from(hours).ok().filter(|hours| *hours > 0),
            )
            .into(),
        )
    }
}

/// Contracts, base units and US dollars:
/// ```json
/// {"instId":"BTC-USDT-SWAP","instType":"SWAP","oi":"2216113.01000000309","oiCcy":"22161.1301000000309","oiUsd":"1939251795.54769270396321","ts":"1743041250440"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct OpenInterestRow {
    #[serde(rename = "oi", deserialize_with = "calculated")]
    contracts: Option<Decimal>,
    #[serde(rename = "oiCcy", default, deserialize_with = "calculated")]
    base: Option<Decimal>,
    #[serde(rename = "oiUsd", default, deserialize_with = "calculated")]
    value: Option<Decimal>,
    #[serde(deserialize_with = "millis")]
    pub(super) ts: Timestamp,
}

/// A value that OKX calculated, with more decimals than it means (`"40457299.999999999999974070668"`): rounded to 18. Empty
/// where it does not apply.
fn calculated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    Decimal::parse_rounded(text.as_bytes()).map(Some).map_err(de::Error::custom)
}

impl OpenInterestRow {
    pub(super) fn emit(&self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let origin = context.origin(Source::Ws);
        context.emit(OpenInterest::new(origin, self.ts, self.contracts, self.base, self.value).into())
    }
}

/// Liquidations of one instrument, of a channel that has those of all instruments of a type; at most one a second for
/// each, not complete, perhaps out of order:
/// ```json
/// {"details":[{"bkLoss":"0","bkPx":"0.01968","ccy":"","posSide":"short","side":"buy","sz":"42","ts":"1791369351375"}],"instFamily":"XDP-USDT","instId":"XDP-USDT-SWAP","instType":"SWAP","uly":"XDP-USDT"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct LiquidationRow<'a> {
    /// Of [`LiquidationDetail`]s.
    #[serde(borrow)]
    pub(super) details: &'a RawValue,
    #[serde(borrow, rename = "instId")]
    pub(super) instrument_id: Cow<'a, str>,
}

/// `side` is the order's; `posSide` is empty in net mode.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct LiquidationDetail {
    /// The price of bankruptcy, not of a fill.
    #[serde(rename = "bkPx")]
    price: Decimal,
    /// Contracts.
    sz: Decimal,
    side: TakerSide,
    #[serde(deserialize_with = "millis")]
    pub(super) ts: Timestamp,
}

impl LiquidationDetail {
    pub(super) fn emit(&self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let contract = context.instrument.contract.as_ref();
        let quantity = base_quantity(contract, self.sz, self.price)?;
        let contracts = contract.map(|_| self.sz);
        let origin = context.origin(Source::Ws);
        context.emit(
            Liquidation::new(origin, self.ts, self.side, self.price, None, quantity, contracts, None).into(),
        )
    }
}
