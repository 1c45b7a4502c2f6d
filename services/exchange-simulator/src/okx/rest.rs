//! OKX's public REST: `/api/v5/*` with its envelope, its errors and its limits by endpoint.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use compact_str::CompactString;
use serde_json::{Value, json};

use super::channel::find;
use super::frames::{self, BOOK_LEVELS};
use super::instrument_type::{InstrumentType, announced_row, row};
use crate::exchange::Exchange;
use crate::generator::{Generator, RatioOf};
use crate::hub::Hub;
use crate::instrument::Instrument;
use crate::lock::lock;
use crate::record::{DataType, RatioRecord, Record, side};
use crate::units::plain;

type Parameters = HashMap<String, String>;

/// An endpoint: its path behind `/api/v5/`, requests allowed in two seconds, and whether they are counted by instrument.
struct Endpoint {
    path: &'static str,
    requests_max: u32,
    by_instrument: bool,
    answer: fn(&Hub, &Parameters) -> Answer,
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "public/time", requests_max: 10, by_instrument: false, answer: time },
    Endpoint { path: "public/instruments", requests_max: 20, by_instrument: true, answer: instruments },
    Endpoint { path: "public/funding-rate", requests_max: 10, by_instrument: true, answer: funding_rate },
    Endpoint { path: "public/open-interest", requests_max: 20, by_instrument: true, answer: open_interest },
    Endpoint { path: "public/mark-price", requests_max: 10, by_instrument: true, answer: mark_price },
    Endpoint { path: "market/books", requests_max: 40, by_instrument: false, answer: books },
    Endpoint {
        path: "market/history-trades",
        requests_max: 20,
        by_instrument: false,
        answer: history_trades,
    },
    Endpoint {
        path: "rubik/stat/contracts/long-short-account-ratio-contract",
        requests_max: 5,
        by_instrument: true,
        answer: all_account_ratio,
    },
    Endpoint {
        path: "rubik/stat/contracts/long-short-account-ratio-contract-top-trader",
        requests_max: 5,
        by_instrument: true,
        answer: top_account_ratio,
    },
    Endpoint {
        path: "rubik/stat/contracts/long-short-position-ratio-contract-top-trader",
        requests_max: 5,
        by_instrument: true,
        answer: top_position_ratio,
    },
];

/// Ratio periods, with the milliseconds of one.
const PERIODS: [(&str, i64); 6] = [
    ("5m", 300_000),
    ("15m", 900_000),
    ("30m", 1_800_000),
    ("1H", 3_600_000),
    ("2H", 7_200_000),
    ("4H", 14_400_000),
];
/// Rows of one answer at most.
const ROWS_MAX: usize = 100;

/// A whole body, or why not.
type Answer = Result<String, Refusal>;

struct Refusal {
    status: StatusCode,
    code: &'static str,
    msg: String,
}

/// REST paths.
pub(crate) fn rest() -> Router<Arc<Hub>> {
    Router::new().route("/api/v5/{*path}", get(answer))
}

async fn answer(
    State(hub): State<Arc<Hub>>,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
        hub.count_request("unknown endpoint");
        return StatusCode::NOT_FOUND.into_response();
    };
    hub.count_request(endpoint.path);
    let answered = if is_allowed(&hub, endpoint, &parameters) {
        (endpoint.answer)(&hub, &parameters)
    } else {
        hub.count_request("answered 429");
        let status = StatusCode::TOO_MANY_REQUESTS;
        Err(Refusal { status, code: "50011", msg: "Too Many Requests".to_owned() })
    };
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal { status, code, msg }) => {
            (status, json!({ "code": code, "msg": msg, "data": [] }).to_string())
        }
    };
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

fn is_allowed(hub: &Hub, endpoint: &Endpoint, parameters: &Parameters) -> bool {
    let named = parameters.get("instId").or_else(|| parameters.get("instType"));
    let of = named.filter(|_| endpoint.by_instrument).map_or("", String::as_str);
    lock(&hub.okx_windows).allow(endpoint.path, of, endpoint.requests_max, Instant::now())
}

fn time(hub: &Hub, _: &Parameters) -> Answer {
    Ok(envelope(&[json!({ "ts": hub.now_ms(Exchange::Okx).to_string() })]))
}

fn instruments(hub: &Hub, parameters: &Parameters) -> Answer {
    let wanted = instrument_type(parameters)?;
    let named = parameters.get("instId");
    let listed = of_type(hub, wanted).filter(|(_, one)| named.is_none_or(|id| *id == one.instrument_id));
    let mut rows: Vec<Value> = listed.map(|(index, instrument)| row(instrument, index)).collect();
    if named.is_none() {
        rows.push(announced_row(wanted));
    }
    Ok(envelope(&rows))
}

fn books(hub: &Hub, parameters: &Parameters) -> Answer {
    let index = instrument(hub, parameters)?;
    let levels = number(parameters, "sz")?.unwrap_or(1);
    let levels = usize::try_from(levels).unwrap_or(BOOK_LEVELS).clamp(1, BOOK_LEVELS);
    let book = generator(hub)?.snapshot(index, levels).ok_or_else(unknown_instrument)?;
    Ok(frames::rest_book(&book))
}

/// Single matches, newest first, with ids below `after`.
fn history_trades(hub: &Hub, parameters: &Parameters) -> Answer {
    let index = instrument(hub, parameters)?;
    if parameters.get("type").is_some_and(|kind| kind != "1") {
        return Err(bad_parameter("type: only 1, by trade id, is simulated"));
    }
    let limit = rows_limit(parameters)?;
    let trades = hub.history.trades_before(index, number(parameters, "after")?, limit);
    let name = hub.catalogue.get(index).map_or("", |one| one.instrument_id.as_str());
    let rows: Vec<Value> = trades
        .iter()
        .map(|trade| {
            json!({
                "instId": name, "tradeId": trade.id.to_string(), "px": plain(&trade.price),
                "sz": plain(&trade.quantity), "side": side(trade.buyer_is_maker), "source": "0",
                "ts": trade.time_ms.to_string(),
            })
        })
        .collect();
    Ok(envelope(&rows))
}

fn funding_rate(hub: &Hub, parameters: &Parameters) -> Answer {
    // Only ANY means all of them.
    let all = parameters.get("instId").is_some_and(|id| id == "ANY");
    let indices = if all {
        of_type(hub, InstrumentType::Swap).map(|(index, _)| index).collect()
    } else {
        vec![instrument(hub, parameters)?]
    };
    rows_of(hub, indices, |generator, instrument, index, now_ms| {
        frames::funding_row(instrument, &generator.mark(index, now_ms)?)
    })
}

fn open_interest(hub: &Hub, parameters: &Parameters) -> Answer {
    let indices = named_or_all(hub, parameters)?;
    rows_of(hub, indices, |generator, instrument, index, now_ms| {
        Some(frames::open_interest_row(instrument, &generator.open_interest(index, now_ms)?))
    })
}

fn mark_price(hub: &Hub, parameters: &Parameters) -> Answer {
    let indices = named_or_all(hub, parameters)?;
    rows_of(hub, indices, |generator, instrument, index, now_ms| {
        Some((frames::mark_row(instrument, &generator.mark(index, now_ms)?), Record::Unrecorded))
    })
}

fn all_account_ratio(hub: &Hub, parameters: &Parameters) -> Answer {
    ratio(hub, parameters, RatioOf::AllAccount, Some(DataType::LsrAllAccount))
}

fn top_account_ratio(hub: &Hub, parameters: &Parameters) -> Answer {
    ratio(hub, parameters, RatioOf::TopAccount, None)
}

fn top_position_ratio(hub: &Hub, parameters: &Parameters) -> Answer {
    ratio(hub, parameters, RatioOf::TopPosition, Some(DataType::LsrTopPosition))
}

/// `[[ts, ratio], …]`, newest first; in the ledger when it is one of the pipeline's data types.
fn ratio(hub: &Hub, parameters: &Parameters, of: RatioOf, data_type: Option<DataType>) -> Answer {
    let index = instrument(hub, parameters)?;
    let period = parameters.get("period").map_or("5m", String::as_str);
    let &(period, period_ms) = PERIODS
        .iter()
        .find(|(name, _)| *name == period)
        .ok_or_else(|| bad_parameter(&format!("period: {period} is not simulated")))?;
    let newest = hub.now_ms(Exchange::Okx) / period_ms;
    let limit = i64::try_from(rows_limit(parameters)?).unwrap_or(0);
    let generator = generator(hub)?;
    let mut rows = Vec::new();
    // The ledger wants them in order of time, the answer the other way round.
    for number in newest - limit + 1..=newest {
        let start_ms = number * period_ms;
        let Some(ratio) = generator.ratio(index, of, start_ms) else { continue };
        let quotient: CompactString = plain(&ratio.long_short).into();
        rows.push(json!([start_ms.to_string(), quotient]));
        if let Some(data_type) = data_type {
            let ts_event_us = start_ms.saturating_mul(1000);
            let record = Record::Ratio(RatioRecord {
                data_type,
                period: period.into(),
                long_ratio: None,
                short_ratio: None,
                long_short_ratio: quotient,
                ts_event_us,
            });
            hub.ledger.note_polled(index, period, &record);
        }
    }
    rows.reverse();
    Ok(envelope(&rows))
}

/// One row for each of `indices`, and what they tell into the ledger.
fn rows_of(
    hub: &Hub,
    indices: Vec<usize>,
    row: impl Fn(&Generator, &Instrument, usize, i64) -> Option<(String, Record)>,
) -> Answer {
    let generator = generator(hub)?;
    let now_ms = hub.now_ms(Exchange::Okx);
    let mut rows = Vec::with_capacity(indices.len());
    for index in indices {
        let told = hub.catalogue.get(index).and_then(|one| row(generator, one, index, now_ms));
        if let Some((row, record)) = told {
            hub.ledger.note_polled(index, "", &record);
            rows.push(row);
        }
    }
    Ok(format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(",")))
}

fn of_type(hub: &Hub, wanted: InstrumentType) -> impl Iterator<Item = (usize, &Arc<Instrument>)> {
    let listed = hub.catalogue.listed().filter(|(_, one)| one.market.exchange() == Exchange::Okx);
    listed.filter(move |(_, one)| InstrumentType::of(one) == wanted)
}

fn named_or_all(hub: &Hub, parameters: &Parameters) -> Result<Vec<usize>, Refusal> {
    let wanted = instrument_type(parameters)?;
    if parameters.contains_key("instId") {
        return Ok(vec![instrument(hub, parameters)?]);
    }
    Ok(of_type(hub, wanted).map(|(index, _)| index).collect())
}

fn generator(hub: &Hub) -> Result<&Generator, Refusal> {
    hub.generator().ok_or_else(unknown_instrument)
}

fn instrument(hub: &Hub, parameters: &Parameters) -> Result<usize, Refusal> {
    let id = parameters.get("instId").filter(|id| !id.is_empty()).ok_or_else(|| empty("instId"))?;
    find(&hub.catalogue, id).ok_or_else(unknown_instrument)
}

fn instrument_type(parameters: &Parameters) -> Result<InstrumentType, Refusal> {
    let text = parameters.get("instType").filter(|text| !text.is_empty()).ok_or_else(|| empty("instType"))?;
    InstrumentType::parse(text).ok_or_else(|| bad_parameter("Parameter instType error"))
}

fn rows_limit(parameters: &Parameters) -> Result<usize, Refusal> {
    let limit = number(parameters, "limit")?;
    Ok(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX))
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| bad_parameter(&format!("Parameter {name} error")))
}

fn envelope(rows: &[Value]) -> String {
    json!({ "code": "0", "msg": "", "data": rows }).to_string()
}

fn empty(name: &str) -> Refusal {
    let msg = format!("Parameter {name} can not be empty");
    Refusal { status: StatusCode::BAD_REQUEST, code: "50014", msg }
}

fn bad_parameter(msg: &str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code: "51000", msg: msg.to_owned() }
}

/// Errors of this kind come with HTTP 200.
fn unknown_instrument() -> Refusal {
    Refusal { status: StatusCode::OK, code: "51001", msg: "Instrument ID doesn't exist.".to_owned() }
}
