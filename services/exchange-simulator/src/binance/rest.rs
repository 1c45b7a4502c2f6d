//! Binance's public REST: `/api/v3/*` (spot), `/fapi/v1/*` and `/futures/data/*` (USDⓈ-M) with their limits, weights and
//! headers. Which book is shown is decided by the source: the generator's or the capture's. What is told of contracts is
//! `statistics.rs`.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::budget::Allowance;
use super::product::Product;
use super::refusal::{Parameters, Refusal, bad_request, instrument, invalid_symbol, json_response, number};
use super::statistics::{self, Statistic};
use super::{exchange_info, frames};
use crate::clock::now_ms;
use crate::event::{AggregateTrade, Trade};
use crate::exchange::Exchange;
use crate::hub::{Hub, Source};
use crate::lock::lock;
use crate::replay::gate::GateError;

const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");
/// The depth limits USDⓈ-M knows; spot takes any up to 5000.
const USDM_DEPTH_LIMITS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1000];

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Time,
    ExchangeInfo,
    Depth,
    Trades,
    HistoricalTrades,
    AggregateTrades,
    PremiumIndex,
    FundingInfo,
    OpenInterest,
    /// History in periods, under a limit of its own.
    Data(Statistic),
}

const ENDPOINTS: &[(&str, Product, Endpoint)] = &[
    ("/api/v3/ping", Product::Spot, Endpoint::Ping),
    ("/api/v3/time", Product::Spot, Endpoint::Time),
    ("/api/v3/exchangeInfo", Product::Spot, Endpoint::ExchangeInfo),
    ("/api/v3/depth", Product::Spot, Endpoint::Depth),
    ("/api/v3/trades", Product::Spot, Endpoint::Trades),
    ("/api/v3/historicalTrades", Product::Spot, Endpoint::HistoricalTrades),
    ("/api/v3/aggTrades", Product::Spot, Endpoint::AggregateTrades),
    ("/fapi/v1/ping", Product::Usdm, Endpoint::Ping),
    ("/fapi/v1/time", Product::Usdm, Endpoint::Time),
    ("/fapi/v1/exchangeInfo", Product::Usdm, Endpoint::ExchangeInfo),
    ("/fapi/v1/depth", Product::Usdm, Endpoint::Depth),
    ("/fapi/v1/trades", Product::Usdm, Endpoint::Trades),
    ("/fapi/v1/historicalTrades", Product::Usdm, Endpoint::HistoricalTrades),
    ("/fapi/v1/aggTrades", Product::Usdm, Endpoint::AggregateTrades),
    ("/fapi/v1/premiumIndex", Product::Usdm, Endpoint::PremiumIndex),
    ("/fapi/v1/fundingInfo", Product::Usdm, Endpoint::FundingInfo),
    ("/fapi/v1/openInterest", Product::Usdm, Endpoint::OpenInterest),
    ("/futures/data/openInterestHist", Product::Usdm, Endpoint::Data(Statistic::OpenInterest)),
    ("/futures/data/topLongShortPositionRatio", Product::Usdm, Endpoint::Data(Statistic::TopPositionRatio)),
    ("/futures/data/topLongShortAccountRatio", Product::Usdm, Endpoint::Data(Statistic::TopAccountRatio)),
    ("/futures/data/globalLongShortAccountRatio", Product::Usdm, Endpoint::Data(Statistic::AllAccountRatio)),
];

/// Answers `GET <path>?parameters`.
pub(crate) async fn answer(hub: &Hub, path: &str, parameters: &Parameters) -> Response {
    let Some(&(route, product, endpoint)) = ENDPOINTS.iter().find(|(route, _, _)| *route == path) else {
        hub.count_request("unknown endpoint");
        return StatusCode::NOT_FOUND.into_response();
    };
    hub.count_request(route);
    let used_weight = match allowance(hub, product, endpoint, weight(product, endpoint, parameters)) {
        Ok(used_weight) => used_weight,
        Err(response) => return *response,
    };
    let mut response = match body(hub, product, endpoint, parameters).await {
        Ok(body) => json_response(StatusCode::OK, body),
        Err(refusal) => refusal.into_response(),
    };
    if !matches!(endpoint, Endpoint::Data(_)) {
        response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used_weight));
    }
    response
}

async fn body(
    hub: &Hub,
    product: Product,
    endpoint: Endpoint,
    parameters: &Parameters,
) -> Result<String, Refusal> {
    match endpoint {
        Endpoint::Ping => Ok("{}".to_owned()),
        Endpoint::Time => Ok(json!({ "serverTime": hub.now_ms(Exchange::Binance) }).to_string()),
        Endpoint::ExchangeInfo => Ok(exchange_info::body(hub, product)),
        Endpoint::Depth => depth(hub, product, parameters).await,
        Endpoint::Trades => {
            let (instrument, limit) = (instrument(hub, product, parameters)?, trade_limit(parameters)?);
            Ok(trade_rows(&hub.history.trades(instrument, None, limit)))
        }
        Endpoint::HistoricalTrades => {
            let (instrument, limit) = (instrument(hub, product, parameters)?, trade_limit(parameters)?);
            Ok(trade_rows(&hub.history.trades(instrument, from_id(parameters)?, limit)))
        }
        Endpoint::AggregateTrades => {
            let (instrument, limit) = (instrument(hub, product, parameters)?, trade_limit(parameters)?);
            let trades = hub.history.aggregates(instrument, from_id(parameters)?, limit);
            Ok(aggregate_rows(product, &trades))
        }
        Endpoint::PremiumIndex => statistics::premium_index(hub, parameters),
        Endpoint::FundingInfo => Ok(statistics::funding_info(hub)),
        Endpoint::OpenInterest => statistics::open_interest(hub, parameters),
        Endpoint::Data(statistic) => statistics::history(hub, statistic, parameters),
    }
}

async fn depth(hub: &Hub, product: Product, parameters: &Parameters) -> Result<String, Refusal> {
    let index = instrument(hub, product, parameters)?;
    let limit = depth_limit(product, parameters)?;
    match &hub.source {
        Source::Synthetic { generator, .. } => generator
            .snapshot(index, limit)
            .map(|snapshot| frames::snapshot(product, &snapshot))
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
fn allowance(hub: &Hub, product: Product, endpoint: Endpoint, weight: u64) -> Result<u64, Box<Response>> {
    let budgets = &hub.binance_budgets;
    let budget = match (endpoint, product) {
        (Endpoint::Data(_), _) => &budgets.statistics,
        (_, Product::Spot) => &budgets.spot,
        (_, Product::Usdm) => &budgets.usdm,
    };
    let (limit, allowance) = {
        let mut budget = lock(budget);
        (budget.limit(), budget.spend(weight, now_ms()))
    };
    let (status, used_weight, retry_after_seconds) = match allowance {
        Allowance::Granted { used_weight } => return Ok(used_weight),
        Allowance::Exceeded { used_weight, retry_after_seconds } => {
            (StatusCode::TOO_MANY_REQUESTS, used_weight, retry_after_seconds)
        }
        Allowance::Banned { retry_after_seconds } => {
            (StatusCode::IM_A_TEAPOT, limit + 1, retry_after_seconds)
        }
    };
    hub.count_request(if status == StatusCode::IM_A_TEAPOT { "answered 418" } else { "answered 429" });
    let msg = format!(
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
         Please use WebSocket Streams for live updates to avoid polling the API."
    );
    let mut response = Refusal { status, code: -1003, msg }.into_response();
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used_weight));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    Err(Box::new(response))
}

/// What it costs of the minute's weight; of the statistics one request costs one.
fn weight(product: Product, endpoint: Endpoint, parameters: &Parameters) -> u64 {
    let limit = depth_limit(product, parameters).unwrap_or(0);
    match (product, endpoint) {
        (_, Endpoint::FundingInfo) => 0,
        (_, Endpoint::PremiumIndex) if !parameters.contains_key("symbol") => 10,
        (
            _,
            Endpoint::Ping
            | Endpoint::Time
            | Endpoint::OpenInterest
            | Endpoint::PremiumIndex
            | Endpoint::Data(_),
        )
        | (Product::Usdm, Endpoint::ExchangeInfo) => 1,
        (Product::Spot, Endpoint::ExchangeInfo)
        | (Product::Usdm, Endpoint::HistoricalTrades | Endpoint::AggregateTrades) => 20,
        (Product::Spot, Endpoint::Depth) => match limit {
            0..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        },
        (Product::Usdm, Endpoint::Depth) => match limit {
            0..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        },
        (Product::Spot, Endpoint::Trades | Endpoint::HistoricalTrades) => 25,
        (Product::Spot, Endpoint::AggregateTrades) => 4,
        (Product::Usdm, Endpoint::Trades) => 5,
    }
}

fn depth_limit(product: Product, parameters: &Parameters) -> Result<usize, Refusal> {
    let limit = number(parameters, "limit")?;
    match product {
        Product::Spot => Ok(usize::try_from(limit.unwrap_or(100)).unwrap_or(usize::MAX).min(5000)),
        Product::Usdm => {
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

fn aggregate_rows(product: Product, trades: &[AggregateTrade]) -> String {
    let rows: Vec<Value> = trades
        .iter()
        .map(|trade| {
            let mut row = json!({
                "a": trade.id, "p": trade.price, "q": trade.quantity, "f": trade.first_trade_id,
                "l": trade.last_trade_id, "T": trade.time_ms, "m": trade.buyer_is_maker,
            });
            if let Some(row) = row.as_object_mut() {
                match product {
                    Product::Spot => row.insert("M".to_owned(), Value::Bool(true)),
                    Product::Usdm => row.insert("nq".to_owned(), json!(trade.quantity)),
                };
            }
            row
        })
        .collect();
    Value::Array(rows).to_string()
}
