//! What channels and REST bring besides books, each with the exchange's payload in its doc. Texts are borrowed from the
//! frame; numbers are parsed from its bytes.

use std::borrow::Cow;

use marketprism_core::{Contract, Decimal, Instrument, TakerSide, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::depth::check_instrument;
use super::number::{exact, exact_if_told, rounded_if_told};
use super::rpc;
use crate::decode::{each, millis};
use crate::session::Rejected;
use crate::trade_line::Print;

/// Most trades in one answer.
const TRADES_MAX: u32 = 1_000;

/// An element of `trades.{instrument}.100ms`, and of REST's `get_last_trades_by_instrument`:
/// ```json
/// {"timestamp":1789344933994,"price":76917.5,"amount":8450.0,"direction":"buy","index_price":76906.67,"instrument_name":"BTC-PERPETUAL","trade_seq":140284854,"mark_price":76917.12,"tick_direction":0,"starbase_match_id":225046781992378368,"trade_id":"267258393","contracts":845.0,"starbase_timestamp":1789344933994718924}
/// ```
/// `direction` is the taker's; `trade_seq` is consecutive, `trade_id` (`ETH-284830839` in some currencies) is not. Options have
/// their volatility `iv` besides, block and combo trades their ids. A `liquidation` is told only by REST, an hour later.
#[derive(Debug, Deserialize)]
pub(super) struct TradeEvent<'a> {
    #[serde(borrow)]
    instrument_name: Cow<'a, str>,
    trade_seq: u64,
    #[serde(borrow)]
    trade_id: Cow<'a, str>,
    #[serde(deserialize_with = "millis")]
    timestamp: Timestamp,
    #[serde(deserialize_with = "exact")]
    price: Decimal,
    #[serde(deserialize_with = "exact")]
    amount: Decimal,
    direction: TakerSide,
    #[serde(default, deserialize_with = "exact_if_told")]
    contracts: Option<Decimal>,
}

impl<'a> TradeEvent<'a> {
    pub(super) fn print(self, instrument: &Instrument) -> Result<Print<'a>, Rejected> {
        check_instrument(&self.instrument_name, &instrument.instrument_id)?;
        let Self { amount, price, .. } = self;
        let contract = instrument.contract;
        let quantity = base(contract.as_ref(), amount, price).ok_or_else(|| {
            Rejected::new("invalid_field", format_args!("field `amount`: `{amount}` at price `{price}`"))
        })?;
        let contracts =
            self.contracts.or_else(|| contract.and_then(|contract| contract.contracts_of_amount(amount)));
        Ok(Print {
            sequence: self.trade_seq,
            first_sequence: self.trade_seq,
            trade_id: Some(self.trade_id),
            event: self.timestamp,
            price,
            quantity,
            contracts,
            side: self.direction,
            is_maker_buyer: None,
            trades: None,
            is_placeholder: false,
        })
    }
}

/// Base units of an amount at a price; without a contract amounts are in base units.
pub(super) fn base(contract: Option<&Contract>, amount: Decimal, price: Decimal) -> Option<Decimal> {
    contract.map_or(Some(amount), |contract| contract.base_of_amount(amount, price))
}

/// ```json
/// {"trades":[…],"has_more":false}
/// ```
#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    trades: &'a RawValue,
}

/// Path of REST's trades between two numbers, inclusive. Those of long ago are in an archive: `include_old`.
pub(super) fn trades_path(instrument_id: &str, (from, to): (u64, u64)) -> String {
    format!(
        "/api/v2/public/get_last_trades_by_instrument?instrument_name={instrument_id}&start_seq={from}&end_seq={to}&count={TRADES_MAX}&include_old=true&sorting=asc"
    )
}

/// REST's trades, oldest first.
pub(super) fn historical<'a>(body: &'a [u8], instrument: &Instrument) -> Result<Vec<Print<'a>>, Rejected> {
    let Trades { trades } = rpc::result(body)?;
    let mut prints = Vec::new();
    each(trades.get(), |event: TradeEvent<'a>| {
        prints.push(event.print(instrument)?);
        Ok(())
    })?;
    prints.sort_by_key(|print| print.sequence);
    Ok(prints)
}

/// `ticker.{instrument}.100ms`, of which this is taken:
/// ```json
/// {"timestamp":1790133840887,"state":"open","index_price":86744.11,"instrument_name":"BTC_USDC-PERPETUAL","open_interest":459.3409,"mark_price":86778.14,"current_funding":1.423e-4,"funding_8h":5.149e-5,"best_ask_price":null}
/// ```
/// `open_interest` is in USD for inverse contracts, else in base units. `current_funding` is the rate of now, for eight hours;
/// only perpetuals have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Ticker {
    #[serde(rename = "timestamp", deserialize_with = "millis")]
    pub(super) event: Timestamp,
    #[serde(default, deserialize_with = "exact_if_told")]
    pub(super) open_interest: Option<Decimal>,
    #[serde(default, deserialize_with = "exact_if_told")]
    pub(super) mark_price: Option<Decimal>,
    #[serde(default, deserialize_with = "exact_if_told")]
    pub(super) index_price: Option<Decimal>,
    #[serde(default, deserialize_with = "rounded_if_told")]
    pub(super) current_funding: Option<Decimal>,
}

/// `deribit_volatility_index.{index}`, in volatility points:
/// ```json
/// {"volatility":129.36,"timestamp":1619777946007,"index_name":"btc_usd"}
/// ```
#[derive(Debug, Deserialize)]
pub(super) struct VolatilityEvent {
    #[serde(deserialize_with = "exact")]
    pub(super) volatility: Decimal,
    #[serde(rename = "timestamp", deserialize_with = "millis")]
    pub(super) event: Timestamp,
}

/// A row of REST's `get_volatility_index_data`: `[1598019300000,0.210084879,0.212860821,0.210084879,0.212860821]`. The time is
/// the bar's beginning.
#[derive(Debug, Deserialize)]
pub(super) struct Bar(
    #[serde(deserialize_with = "millis")] pub(super) Timestamp,
    #[serde(deserialize_with = "exact")] pub(super) Decimal,
    #[serde(deserialize_with = "exact")] pub(super) Decimal,
    #[serde(deserialize_with = "exact")] pub(super) Decimal,
    #[serde(deserialize_with = "exact")] pub(super) Decimal,
);

/// ```json
/// {"data":[[1598019300000,0.210084879,0.212860821,0.210084879,0.212860821]],"continuation":null}
/// ```
/// `continuation` is the end of the page before this one, in ms.
#[derive(Debug, Deserialize)]
pub(super) struct Bars {
    #[serde(rename = "data")]
    pub(super) rows: Vec<Bar>,
    #[serde(default)]
    pub(super) continuation: Option<i64>,
}
