//! What USDⓈ-M's REST tells of contracts: mark price and funding, open interest, and the long/short ratios. Open
//! interest and ratios are in the ledger once they were answered: clients have them from here only.

use compact_str::CompactString;
use serde_json::{Value, json};

use super::product::Product;
use super::refusal::{Parameters, Refusal, bad_request, instrument, invalid_symbol, mandatory, number};
use crate::exchange::{Exchange, Market};
use crate::generator::RatioOf;
use crate::hub::Hub;
use crate::record::{DataType, OpenInterestRecord, RatioRecord, Record};
use crate::units::Units;

/// What `/futures/data/` has the history of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    OpenInterest,
    TopPositionRatio,
    TopAccountRatio,
    AllAccountRatio,
}

/// Periods, with the milliseconds of one.
const PERIODS: [(&str, i64); 9] = [
    ("5m", 300_000),
    ("15m", 900_000),
    ("30m", 1_800_000),
    ("1h", 3_600_000),
    ("2h", 7_200_000),
    ("4h", 14_400_000),
    ("6h", 21_600_000),
    ("12h", 43_200_000),
    ("1d", 86_400_000),
];

/// `premiumIndex`: one contract, or without `symbol` all of them.
pub(crate) fn premium_index(hub: &Hub, parameters: &Parameters) -> Result<String, Refusal> {
    if parameters.contains_key("symbol") {
        let index = instrument(hub, Product::Usdm, parameters)?;
        return premium_row(hub, index).map(|row| row.to_string()).ok_or_else(invalid_symbol);
    }
    let listed = hub.catalogue.of(Market::BinanceUsdm);
    let rows: Vec<Value> = listed.filter_map(|(index, _)| premium_row(hub, index)).collect();
    Ok(Value::from(rows).to_string())
}

fn premium_row(hub: &Hub, index: usize) -> Option<Value> {
    let mark = hub.generator()?.mark(index, hub.now_ms(Exchange::Binance))?;
    let has_funding = mark.funding_rate.is_some();
    Some(json!({
        "symbol": hub.catalogue.get(index)?.instrument_id, "markPrice": mark.mark_price,
        "indexPrice": mark.index_price, "estimatedSettlePrice": mark.index_price,
        "lastFundingRate": mark.funding_rate.as_deref().unwrap_or(""), "interestRate": "0.00010000",
        "nextFundingTime": if has_funding { mark.funding_time_ms } else { 0 }, "time": mark.time_ms,
    }))
}

/// `fundingInfo`: only contracts whose interval is not the usual one.
pub(crate) fn funding_info(hub: &Hub) -> String {
    let unusual =
        hub.catalogue.of(Market::BinanceUsdm).filter(|(_, one)| one.funding_interval_ms() != 28_800_000);
    let rows: Vec<Value> = unusual
        .map(|(_, instrument)| {
            json!({
                "symbol": instrument.instrument_id, "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": instrument.funding_interval_ms() / 3_600_000,
                "disclaimer": false, "updateTime": null,
            })
        })
        .collect();
    Value::from(rows).to_string()
}

/// `openInterest`, in base units.
pub(crate) fn open_interest(hub: &Hub, parameters: &Parameters) -> Result<String, Refusal> {
    let index = instrument(hub, Product::Usdm, parameters)?;
    let told =
        hub.generator().and_then(|generator| generator.open_interest(index, hub.now_ms(Exchange::Binance)));
    let told = told.ok_or_else(invalid_symbol)?;
    let record = OpenInterestRecord {
        open_interest: None,
        open_interest_base: Some(told.quantity.clone()),
        open_interest_value: None,
        ts_event_us: told.time_ms.saturating_mul(1000),
    };
    hub.ledger.note_polled(index, "", &Record::OpenInterest(record));
    let name = hub.catalogue.get(index).map_or("", |one| one.instrument_id.as_str());
    Ok(json!({ "symbol": name, "openInterest": told.quantity, "time": told.time_ms }).to_string())
}

/// `/futures/data/*`: the last `limit` periods, the running one included, oldest first.
pub(crate) fn history(hub: &Hub, statistic: Statistic, parameters: &Parameters) -> Result<String, Refusal> {
    let index = instrument(hub, Product::Usdm, parameters)?;
    let period = mandatory(parameters, "period")?;
    let &(period, period_ms) = PERIODS
        .iter()
        .find(|(name, _)| *name == period)
        .ok_or_else(|| bad_request(-1130, "Data sent for parameter 'period' is not valid."))?;
    let limit = i64::try_from(number(parameters, "limit")?.unwrap_or(30).clamp(1, 500)).unwrap_or(30);
    let newest = hub.now_ms(Exchange::Binance) / period_ms;
    let rows =
        (newest - limit + 1..=newest).map(|number| row(hub, statistic, index, (period, number * period_ms)));
    let rows: Option<Vec<Value>> = rows.collect();
    rows.map(|rows| Value::from(rows).to_string()).ok_or_else(invalid_symbol)
}

fn row(
    hub: &Hub,
    statistic: Statistic,
    index: usize,
    (period, start_ms): (&'static str, i64),
) -> Option<Value> {
    let generator = hub.generator()?;
    let symbol = &hub.catalogue.get(index)?.instrument_id;
    let (of, data_type) = match statistic {
        Statistic::OpenInterest => {
            let told = generator.past_open_interest(index, start_ms)?;
            let value = Units::parse(&told.quantity)?.times(Units::parse(&told.mark_price)?)?;
            return Some(json!({
                "symbol": symbol, "sumOpenInterest": told.quantity, "sumOpenInterestValue": value.plain(),
                "CMCCirculatingSupply": "20084481.00000000", "timestamp": start_ms,
            }));
        }
        Statistic::TopPositionRatio => (RatioOf::TopPosition, Some(DataType::LsrTopPosition)),
        // The pipeline has no data type of it.
        Statistic::TopAccountRatio => (RatioOf::TopAccount, None),
        Statistic::AllAccountRatio => (RatioOf::AllAccount, Some(DataType::LsrAllAccount)),
    };
    let ratio = generator.ratio(index, of, start_ms)?;
    if let Some(data_type) = data_type {
        let record = RatioRecord {
            data_type,
            period: CompactString::from(period),
            long_ratio: Some(ratio.long.clone()),
            short_ratio: Some(ratio.short.clone()),
            long_short_ratio: ratio.long_short.clone(),
            ts_event_us: start_ms.saturating_mul(1000),
        };
        hub.ledger.note_polled(index, period, &Record::Ratio(record));
    }
    // Positions, too, are called accounts.
    Some(json!({
        "symbol": symbol, "longAccount": ratio.long, "longShortRatio": ratio.long_short,
        "shortAccount": ratio.short, "timestamp": start_ms,
    }))
}
