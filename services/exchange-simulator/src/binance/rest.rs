//! Binance's public REST: `/api/v3/*` (spot) and `/fapi/v1/*` (USDⓈ-M) with their limits, weights, headers and
//! error bodies. Which book is shown is decided by the source: the generator's or the capture's.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::budget::Allowance;
use super::{exchange_info, frames};
use crate::clock::now_ms;
use crate::event::{AggregateTrade, Trade};
use crate::exchange::{Exchange, Source};
use crate::instrument::MarketType;
use crate::lock::lock;
use crate::replay::gate::GateError;

/// Query parameters, decoded.
pub(crate) type Parameters = HashMap<String, String>;

const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");
/// The depth limits USDⓈ-M knows; spot takes any up to 5000.
const USDM_DEPTH_LIMITS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1000];

/// The public endpoints of both markets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    HistoricalTrades,
    AggregateTrades,
}

/// An error body with its HTTP status.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: i64,
    msg: String,
}

/// Answers `GET <prefix>/<endpoint>?parameters`.
pub(crate) async fn answer(
    exchange: &Exchange,
    market_type: MarketType,
    endpoint: &str,
    parameters: &Parameters,
) -> Response {
    let Some(endpoint) = endpoint_of(endpoint) else {
        exchange.count_request("unknown endpoint");
        return StatusCode::NOT_FOUND.into_response();
    };
    exchange.count_request(route_name(market_type, endpoint));
    let used_weight = match allowance(exchange, market_type, weight(market_type, endpoint, parameters)) {
        Ok(used_weight) => used_weight,
        Err(response) => return *response,
    };
    let mut response = match body(exchange, market_type, endpoint, parameters).await {
        Ok(body) => json_response(StatusCode::OK, body),
        Err(refusal) => refused(&refusal),
    };
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used_weight));
    response
}

async fn body(
    exchange: &Exchange,
    market_type: MarketType,
    endpoint: Endpoint,
    parameters: &Parameters,
) -> Result<String, Refusal> {
    match endpoint {
        Endpoint::Ping => Ok("{}".to_owned()),
        Endpoint::Time => Ok(json!({ "serverTime": now_ms() }).to_string()),
        Endpoint::ExchangeInfo => Ok(exchange_info::body(exchange, market_type)),
        Endpoint::Depth => depth(exchange, market_type, parameters).await,
        Endpoint::Trades => {
            let (instrument, limit) =
                (instrument(exchange, market_type, parameters)?, trade_limit(parameters)?);
            Ok(trade_rows(&exchange.history.trades(instrument, None, limit)))
        }
        Endpoint::HistoricalTrades => {
            let (instrument, limit) =
                (instrument(exchange, market_type, parameters)?, trade_limit(parameters)?);
            Ok(trade_rows(&exchange.history.trades(instrument, from_id(parameters)?, limit)))
        }
        Endpoint::AggregateTrades => {
            let (instrument, limit) =
                (instrument(exchange, market_type, parameters)?, trade_limit(parameters)?);
            let trades = exchange.history.aggregates(instrument, from_id(parameters)?, limit);
            Ok(aggregate_rows(market_type, &trades))
        }
    }
}

async fn depth(
    exchange: &Exchange,
    market_type: MarketType,
    parameters: &Parameters,
) -> Result<String, Refusal> {
    let index = instrument(exchange, market_type, parameters)?;
    let limit = depth_limit(market_type, parameters)?;
    match &exchange.source {
        Source::Synthetic { market, .. } => market
            .snapshot(index, limit)
            .map(|snapshot| frames::snapshot(market_type, &snapshot))
            .ok_or_else(invalid_symbol),
        Source::Replay(gate) => gate.snapshot(index).await.map_err(|error| match error {
            GateError::NoSnapshot => Refusal {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: -1000,
                msg: "the capture holds no order book snapshot of this symbol".to_owned(),
            },
        }),
    }
}

/// Spends the request's weight; the error is the 429 or 418 to answer with.
fn allowance(exchange: &Exchange, market_type: MarketType, weight: u64) -> Result<u64, Box<Response>> {
    let (limit, allowance) = {
        let mut budget = lock(exchange.budgets.of(market_type));
        (budget.limit_per_minute(), budget.spend(weight, now_ms()))
    };
    let (status, used_weight, retry_after_seconds) = match (exchange.faults.rate_limited(), allowance) {
        (None, Allowance::Granted { used_weight }) => return Ok(used_weight),
        (Some(retry_after_seconds), _) => (StatusCode::TOO_MANY_REQUESTS, limit + 1, retry_after_seconds),
        (None, Allowance::Exceeded { used_weight, retry_after_seconds }) => {
            (StatusCode::TOO_MANY_REQUESTS, used_weight, retry_after_seconds)
        }
        (None, Allowance::Banned { retry_after_seconds }) => {
            (StatusCode::IM_A_TEAPOT, limit + 1, retry_after_seconds)
        }
    };
    exchange.count_request(if status == StatusCode::IM_A_TEAPOT { "answered 418" } else { "answered 429" });
    let msg = format!(
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
         Please use WebSocket Streams for live updates to avoid polling the API."
    );
    let mut response = refused(&Refusal { status, code: -1003, msg });
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used_weight));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    Err(Box::new(response))
}

fn endpoint_of(name: &str) -> Option<Endpoint> {
    Some(match name {
        "ping" => Endpoint::Ping,
        "time" => Endpoint::Time,
        "exchangeInfo" => Endpoint::ExchangeInfo,
        "depth" => Endpoint::Depth,
        "trades" => Endpoint::Trades,
        "historicalTrades" => Endpoint::HistoricalTrades,
        "aggTrades" => Endpoint::AggregateTrades,
        _ => return None,
    })
}

fn route_name(market_type: MarketType, endpoint: Endpoint) -> &'static str {
    match (market_type, endpoint) {
        (MarketType::Spot, Endpoint::Ping) => "/api/v3/ping",
        (MarketType::Spot, Endpoint::Time) => "/api/v3/time",
        (MarketType::Spot, Endpoint::ExchangeInfo) => "/api/v3/exchangeInfo",
        (MarketType::Spot, Endpoint::Depth) => "/api/v3/depth",
        (MarketType::Spot, Endpoint::Trades) => "/api/v3/trades",
        (MarketType::Spot, Endpoint::HistoricalTrades) => "/api/v3/historicalTrades",
        (MarketType::Spot, Endpoint::AggregateTrades) => "/api/v3/aggTrades",
        (MarketType::Perpetual, Endpoint::Ping) => "/fapi/v1/ping",
        (MarketType::Perpetual, Endpoint::Time) => "/fapi/v1/time",
        (MarketType::Perpetual, Endpoint::ExchangeInfo) => "/fapi/v1/exchangeInfo",
        (MarketType::Perpetual, Endpoint::Depth) => "/fapi/v1/depth",
        (MarketType::Perpetual, Endpoint::Trades) => "/fapi/v1/trades",
        (MarketType::Perpetual, Endpoint::HistoricalTrades) => "/fapi/v1/historicalTrades",
        (MarketType::Perpetual, Endpoint::AggregateTrades) => "/fapi/v1/aggTrades",
    }
}

fn weight(market_type: MarketType, endpoint: Endpoint, parameters: &Parameters) -> u64 {
    let limit = depth_limit(market_type, parameters).unwrap_or(0);
    match (market_type, endpoint) {
        (_, Endpoint::Ping | Endpoint::Time) | (MarketType::Perpetual, Endpoint::ExchangeInfo) => 1,
        (MarketType::Spot, Endpoint::ExchangeInfo)
        | (MarketType::Perpetual, Endpoint::HistoricalTrades | Endpoint::AggregateTrades) => 20,
        (MarketType::Spot, Endpoint::Depth) => match limit {
            0..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        },
        (MarketType::Perpetual, Endpoint::Depth) => match limit {
            0..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        },
        (MarketType::Spot, Endpoint::Trades | Endpoint::HistoricalTrades) => 25,
        (MarketType::Spot, Endpoint::AggregateTrades) => 4,
        (MarketType::Perpetual, Endpoint::Trades) => 5,
    }
}

fn instrument(
    exchange: &Exchange,
    market_type: MarketType,
    parameters: &Parameters,
) -> Result<usize, Refusal> {
    let symbol = parameters.get("symbol").filter(|symbol| !symbol.is_empty()).ok_or_else(|| {
        bad_request(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    })?;
    exchange.catalogue.find(market_type, symbol).ok_or_else(invalid_symbol)
}

fn depth_limit(market_type: MarketType, parameters: &Parameters) -> Result<usize, Refusal> {
    let limit = number(parameters, "limit")?;
    match market_type {
        MarketType::Spot => Ok(usize::try_from(limit.unwrap_or(100)).unwrap_or(usize::MAX).min(5000)),
        MarketType::Perpetual => {
            let limit = limit.unwrap_or(500);
            USDM_DEPTH_LIMITS
                .into_iter()
                .find(|known| u64::try_from(*known).is_ok_and(|known| known == limit))
                .ok_or_else(|| bad_request(-4021, &format!("{limit} is not valid depth limit.")))
        }
    }
}

fn trade_limit(parameters: &Parameters) -> Result<usize, Refusal> {
    let limit = number(parameters, "limit")?.unwrap_or(500);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX).min(1000))
}

fn from_id(parameters: &Parameters) -> Result<Option<u64>, Refusal> {
    number(parameters, "fromId")
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let legal = "legal range is '^[0-9]{1,20}$'";
        bad_request(-1100, &format!("Illegal characters found in parameter '{name}'; {legal}."))
    })
}

fn trade_rows(trades: &[Trade]) -> String {
    let rows: Vec<Value> = trades
        .iter()
        .map(|trade| {
            json!({
                "id": trade.id, "price": trade.price, "qty": trade.quantity, "time": trade.time_ms,
                "isBuyerMaker": trade.buyer_is_maker, "isBestMatch": true,
            })
        })
        .collect();
    Value::Array(rows).to_string()
}

fn aggregate_rows(market_type: MarketType, trades: &[AggregateTrade]) -> String {
    let rows: Vec<Value> = trades
        .iter()
        .map(|trade| {
            let mut row = json!({
                "a": trade.id, "p": trade.price, "q": trade.quantity, "f": trade.first_trade_id,
                "l": trade.last_trade_id, "T": trade.time_ms, "m": trade.buyer_is_maker,
            });
            if let Some(row) = row.as_object_mut() {
                match market_type {
                    MarketType::Spot => row.insert("M".to_owned(), Value::Bool(true)),
                    MarketType::Perpetual => row.insert("nq".to_owned(), json!(trade.quantity)),
                };
            }
            row
        })
        .collect();
    Value::Array(rows).to_string()
}

fn bad_request(code: i64, msg: &str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code, msg: msg.to_owned() }
}

fn invalid_symbol() -> Refusal {
    bad_request(-1121, "Invalid symbol.")
}

fn refused(refusal: &Refusal) -> Response {
    json_response(refusal.status, json!({ "code": refusal.code, "msg": refusal.msg }).to_string())
}

fn json_response(status: StatusCode, body: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    (status, headers, body).into_response()
}
