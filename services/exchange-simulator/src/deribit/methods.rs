//! The methods that answer the same over the socket and over REST: lists, books, histories.

use serde::Serialize;
use serde_json::json;

use super::frames::object;
use super::listing::{self, Listing, is_index};
use super::number::Number;
use super::publish::{open_interest_record, rows};
use super::quote::Quote;
use super::rpc::{Parameters, Query, RpcError};
use super::ticker::{OrderBook, Summary};
use crate::event::Trade;
use crate::exchange::{Exchange, Market};
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::record::{Record, VolatilityIndexRecord};
use crate::units::decimal;

/// What `public/test` and `public/hello` say of the exchange.
const VERSION: &str = "1.2.26";
const HOUR_MS: i64 = 3_600_000;
/// Rows of one page of a history.
const ROWS_MAX: usize = 1000;

type Outcome = Result<String, RpcError>;

/// Answers with the result as JSON text.
///
/// # Errors
/// What the exchange answers to a wrong call.
pub(crate) fn call(hub: &Hub, query: Query, parameters: &Parameters) -> Outcome {
    match query {
        Query::Test | Query::Hello => Ok(json!({ "version": VERSION }).to_string()),
        Query::GetTime => Ok(hub.now_ms(Exchange::Deribit).to_string()),
        // The word, not the boolean: also "true" and "partial".
        Query::Status => Ok(json!({ "locked": "false", "locked_indices": [] }).to_string()),
        Query::GetInstrument => {
            let (_, instrument) = instrument(hub, parameters)?;
            Ok(object(&Listing::of(instrument)))
        }
        Query::GetInstruments => {
            let found: Vec<_> = filtered(hub, parameters)?.collect();
            Ok(object(&found.iter().map(|(_, one)| Listing::of(one)).collect::<Vec<_>>()))
        }
        Query::GetOrderBook => order_book(hub, parameters),
        Query::GetLastTradesByInstrument => last_trades(hub, parameters),
        Query::GetFundingRateHistory => funding_rate_history(hub, parameters),
        Query::GetVolatilityIndexData => volatility_index_data(hub, parameters),
        Query::GetBookSummaryByCurrency => book_summary(hub, parameters),
    }
}

fn instrument<'a>(hub: &'a Hub, parameters: &Parameters) -> Result<(usize, &'a Instrument), RpcError> {
    let name = parameters.text("instrument_name")?;
    let index = hub.catalogue.find(Market::Deribit, name);
    let found = index.and_then(|index| Some((index, hub.catalogue.get(index)?.as_ref())));
    found
        .filter(|(_, one)| !is_index(one))
        .ok_or_else(|| RpcError::invalid_params("instrument_name", "wrong"))
}

/// The listed instruments of `currency` (or `any`) and `kind` (or all).
fn filtered<'a>(
    hub: &'a Hub,
    parameters: &'a Parameters,
) -> Result<impl Iterator<Item = (usize, &'a Instrument)>, RpcError> {
    let currency = parameters.text("currency")?;
    let kind = parameters.optional_text("kind")?;
    let all = hub.catalogue.of(Market::Deribit).map(|(index, one)| (index, one.as_ref()));
    Ok(all.filter(move |(_, one)| {
        !is_index(one)
            && (currency == "any" || currency == listing::settlement_currency(one))
            && kind.is_none_or(|kind| kind == listing::kind(one))
    }))
}

fn order_book(hub: &Hub, parameters: &Parameters) -> Outcome {
    let (index, instrument) = instrument(hub, parameters)?;
    let depth = match parameters.optional_integer("depth")?.unwrap_or(5) {
        depth @ (1 | 5 | 10 | 20 | 50 | 100 | 1000 | 10_000) => usize::try_from(depth).unwrap_or(5),
        _ => return Err(RpcError::invalid_params("depth", "must be 1, 5, 10, 20, 50, 100, 1000 or 10000")),
    };
    let quote = Quote::of(hub, index, instrument, depth).ok_or_else(RpcError::not_found)?;
    Ok(object(&OrderBook::of(instrument, &quote)))
}

/// By `start_seq` and `end_seq`, both inclusive. Oldest first from `start_seq` on, else newest first, unless `sorting`
/// says otherwise; `has_more` tells that the range holds trades beyond the page.
fn last_trades(hub: &Hub, parameters: &Parameters) -> Outcome {
    let (index, instrument) = instrument(hub, parameters)?;
    let sequence = |name| -> Result<Option<u64>, RpcError> {
        let number = parameters.optional_integer(name)?;
        number
            .map(|it| u64::try_from(it).map_err(|_| RpcError::invalid_params(name, "must not be negative")))
            .transpose()
    };
    let (start, end) = (sequence("start_seq")?, sequence("end_seq")?.unwrap_or(u64::MAX));
    let count = match parameters.optional_integer("count")?.unwrap_or(10) {
        count @ 1..=1000 => usize::try_from(count).unwrap_or(1),
        _ => return Err(RpcError::invalid_params("count", "must be from 1 to 1000")),
    };
    let ascending = match parameters.optional_text("sorting")? {
        Some("asc") => true,
        Some("desc") => false,
        None | Some("default") => start.is_some(),
        Some(_) => return Err(RpcError::invalid_params("sorting", "must be asc, desc or default")),
    };
    let all = hub.history.trades(index, Some(start.unwrap_or(0)), usize::MAX);
    let within: Vec<Trade> = all.into_iter().filter(|trade| trade.id <= end).collect();
    let has_more = within.len() > count;
    let page: Vec<Trade> = if ascending {
        within.into_iter().take(count).collect()
    } else {
        within.into_iter().rev().take(count).collect()
    };
    Ok(format!("{{\"trades\":{},\"has_more\":{has_more}}}", object(&rows(hub, index, instrument, &page))))
}

/// What was accrued in an hour. Made of the hour alone: accruals are not simulated.
#[derive(Debug, Serialize)]
struct FundingHour {
    timestamp: i64,
    index_price: Number,
    prev_index_price: Number,
    interest_8h: Number,
    interest_1h: Number,
}

fn funding_rate_history(hub: &Hub, parameters: &Parameters) -> Outcome {
    let (index, instrument) = instrument(hub, parameters)?;
    let (start_ms, end_ms) = range(parameters)?;
    let end_ms = end_ms.min(hub.now_ms(Exchange::Deribit));
    let quote = Quote::of(hub, index, instrument, 1).ok_or_else(RpcError::not_found)?;
    let newest = end_ms.div_euclid(HOUR_MS);
    let oldest = start_ms.div_euclid(HOUR_MS).max(newest.saturating_sub(743));
    let rows: Vec<FundingHour> = (oldest..=newest)
        .map(|hour| {
            let units = hour.rem_euclid(1_999) - 999;
            FundingHour {
                timestamp: hour * HOUR_MS,
                index_price: Number::float(&quote.index_price),
                prev_index_price: Number::float(&quote.index_price),
                interest_8h: Number::float(&decimal(units * 8, 8)),
                interest_1h: Number::float(&decimal(units, 8)),
            }
        })
        .filter(|row| row.timestamp >= start_ms)
        .collect();
    Ok(object(&rows))
}

/// Bars `[start, open, high, low, close]`, oldest first, the newest page of the range; the last one may still be
/// forming. `continuation` is the `end_timestamp` of the page before.
fn volatility_index_data(hub: &Hub, parameters: &Parameters) -> Outcome {
    let currency = parameters.text("currency")?;
    let name = format!("{}_usd", currency.to_lowercase());
    let index = hub.catalogue.find(Market::Deribit, &name);
    let index = index.ok_or_else(|| RpcError::invalid_params("currency", "has no volatility index"))?;
    let (start_ms, end_ms) = range(parameters)?;
    let resolution = parameters.text("resolution")?;
    let (resolution_seconds, series) = match resolution {
        "1" => (1, "1"),
        "60" => (60, "60"),
        "3600" => (3_600, "3600"),
        "43200" => (43_200, "43200"),
        "1D" => (86_400, "1D"),
        _ => return Err(RpcError::invalid_params("resolution", "must be 1, 60, 3600, 43200 or 1D")),
    };
    let resolution_ms = resolution_seconds * 1000;
    let mut bars = hub.deribit.index_values.bars(index, resolution_ms);
    bars.retain(|bar| (start_ms..=end_ms).contains(&bar.start_ms));
    let hidden = bars.len().saturating_sub(ROWS_MAX);
    let page = bars.split_off(hidden);
    let continuation = page.first().filter(|_| hidden > 0).map(|bar| bar.start_ms - 1);
    let now_ms = hub.now_ms(Exchange::Deribit);
    for bar in page.iter().filter(|bar| bar.start_ms + resolution_ms <= now_ms) {
        let record = VolatilityIndexRecord {
            index_value: bar.close.clone(),
            open: Some(bar.open.clone()),
            high: Some(bar.high.clone()),
            low: Some(bar.low.clone()),
            resolution_seconds: u64::try_from(resolution_seconds).ok(),
            ts_event_us: bar.start_ms.saturating_mul(1000),
        };
        let record = Record::VolatilityIndex(record);
        hub.ledger.note_polled(index, series, &record);
    }
    let rows: Vec<_> = page
        .iter()
        .map(|bar| {
            let [open, high, low, close] =
                [&bar.open, &bar.high, &bar.low, &bar.close].map(|it| Number::float(it));
            (bar.start_ms, open, high, low, close)
        })
        .collect();
    Ok(format!("{{\"data\":{},\"continuation\":{}}}", object(&rows), json!(continuation)))
}

fn book_summary(hub: &Hub, parameters: &Parameters) -> Outcome {
    let found: Vec<_> = filtered(hub, parameters)?.collect();
    let quotes: Vec<_> = found
        .into_iter()
        .filter_map(|(index, one)| Some((index, one, Quote::of(hub, index, one, 1)?)))
        .collect();
    for (index, instrument, quote) in &quotes {
        let record = open_interest_record(instrument, quote);
        hub.ledger.note_polled(*index, "summary", &record);
    }
    Ok(object(&quotes.iter().map(|(_, one, quote)| Summary::of(one, quote)).collect::<Vec<_>>()))
}

/// `start_timestamp` and `end_timestamp`, in ms.
fn range(parameters: &Parameters) -> Result<(i64, i64), RpcError> {
    let time = |name: &str| {
        let time = parameters.optional_integer(name)?;
        time.ok_or_else(|| RpcError::invalid_params(name, "is missing"))
    };
    Ok((time("start_timestamp")?, time("end_timestamp")?))
}
