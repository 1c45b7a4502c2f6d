//! `/control/*`: what the simulator did, and faults on demand. No part of any exchange's protocol.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::binance::frames;
use crate::clock::now_ms;
use crate::connection::Connection;
use crate::exchange::{Exchange, Source};
use crate::fault::Fault;
use crate::instrument::EXCHANGE;
use crate::record::DataType;

type Answer = (StatusCode, Json<Value>);

/// The control routes.
pub(crate) fn routes() -> Router<Arc<Exchange>> {
    Router::new()
        .route("/control/status", get(status))
        .route("/control/pause", post(pause))
        .route("/control/resume", post(resume))
        .route("/control/flush", post(flush))
        .route("/control/start", post(start))
        .route("/control/fault", post(fault))
}

async fn status(State(exchange): State<Arc<Exchange>>) -> Json<Value> {
    let (mode, seed, replay_started, replay_done, malformed_lines) = match &exchange.source {
        Source::Synthetic { seed, .. } => ("synthetic", Some(*seed), false, false, 0),
        Source::Replay(gate) => (
            "replay",
            None,
            gate.is_started(),
            gate.is_read() && exchange.ledger.in_flight() == 0,
            gate.malformed_lines(),
        ),
    };
    let requests = exchange.requests();
    Json(json!({
        "mode": mode,
        "seed": seed,
        "replay_started": replay_started,
        "replay_done": replay_done,
        "paused": *exchange.paused.borrow(),
        "connections": exchange.connections.open_count(),
        "connections_total": exchange.connections.total(),
        "in_flight": exchange.ledger.in_flight(),
        "replay_malformed_lines": malformed_lines,
        "ledger_error": exchange.ledger.failure(),
        "instruments": instruments(&exchange),
        "streams": streams(&exchange),
        "withheld": withheld(&exchange),
        "faults": exchange.faults.injected(),
        "requests": requests,
    }))
}

async fn pause(State(exchange): State<Arc<Exchange>>) -> Json<Value> {
    exchange.paused.send_replace(true);
    Json(
        json!({ "effect": "no further events; in_flight in /control/status falls to 0 when all are written" }),
    )
}

async fn resume(State(exchange): State<Arc<Exchange>>) -> Json<Value> {
    exchange.paused.send_replace(false);
    Json(json!({ "effect": "events go on where they stood" }))
}

async fn flush(State(exchange): State<Arc<Exchange>>) -> Answer {
    match exchange.ledger.flush() {
        Ok(()) => (StatusCode::OK, Json(json!({ "effect": "every settled line is in the ledger file" }))),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn start(State(exchange): State<Arc<Exchange>>) -> Answer {
    match &exchange.source {
        Source::Replay(gate) => {
            gate.start();
            (StatusCode::OK, Json(json!({ "effect": "the replay starts without waiting for subscribers" })))
        }
        Source::Synthetic { .. } => refused(StatusCode::BAD_REQUEST, "only a replay waits to be started"),
    }
}

async fn fault(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Answer {
    let fault: Fault = match serde_json::from_slice(&body) {
        Ok(fault) => fault,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &format!("fault: {error}")),
    };
    let effect = match exchange.faults.inject(&fault, &exchange.catalogue) {
        Ok(effect) => effect,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    tracing::info!(effect, "fault");
    let connections = carry_out(&exchange, &fault);
    (StatusCode::OK, Json(json!({ "effect": effect, "connections": connections })))
}

/// Does what a fault does to open connections; how many it reached.
fn carry_out(exchange: &Exchange, fault: &Fault) -> Option<usize> {
    match fault {
        Fault::Disconnect { market_type } => {
            let connections = exchange.connections.of(*market_type);
            connections.iter().for_each(|connection| connection.cut());
            Some(connections.len())
        }
        Fault::ServerShutdown { market_type } => {
            let connections = exchange.connections.of(*market_type);
            Some(connections.iter().filter(|connection| announce_shutdown(connection)).count())
        }
        Fault::SkipDiff { .. }
        | Fault::DropTrade { .. }
        | Fault::DuplicateTrade { .. }
        | Fault::Stall { .. }
        | Fault::Refuse { .. }
        | Fault::RateLimit { .. }
        | Fault::CorruptFrame { .. } => None,
    }
}

fn announce_shutdown(connection: &Connection) -> bool {
    let event = json!({ "e": "serverShutdown", "E": now_ms() }).to_string();
    let text = if connection.is_combined() { frames::combined("!serverShutdown", &event) } else { event };
    connection.announce(text)
}

fn instruments(exchange: &Exchange) -> Vec<Value> {
    let one = |instrument: &Arc<crate::instrument::Instrument>| {
        json!({
            "exchange": EXCHANGE,
            "market_type": instrument.market_type,
            "symbol": instrument.symbol(),
            "instrument_id": instrument.instrument_id,
        })
    };
    exchange.catalogue.all().iter().map(one).collect()
}

fn streams(exchange: &Exchange) -> Vec<Value> {
    let mut sent: Vec<_> = exchange.ledger.sent().into_iter().collect();
    sent.sort_unstable_by_key(|(key, _)| *key);
    sent.into_iter()
        .filter_map(|((instrument, data_type), sent)| {
            let mut row = row(exchange, instrument, data_type)?;
            let fields = row.as_object_mut()?;
            fields.insert("sent".to_owned(), sent.events.into());
            fields.insert("last_sent_us".to_owned(), sent.last_sent_us.into());
            Some(row)
        })
        .collect()
}

fn withheld(exchange: &Exchange) -> Vec<Value> {
    exchange
        .faults
        .withheld()
        .into_iter()
        .filter_map(|((instrument, data_type, reason), count)| {
            let mut row = row(exchange, instrument, data_type)?;
            let fields = row.as_object_mut()?;
            fields.insert("reason".to_owned(), json!(reason));
            fields.insert("count".to_owned(), count.into());
            Some(row)
        })
        .collect()
}

fn row(exchange: &Exchange, instrument: usize, data_type: DataType) -> Option<Value> {
    let instrument = exchange.catalogue.get(instrument)?;
    Some(json!({
        "exchange": EXCHANGE,
        "market_type": instrument.market_type,
        "data_type": data_type,
        "symbol": instrument.symbol(),
        "instrument_id": instrument.instrument_id,
    }))
}

fn refused(status: StatusCode, error: &str) -> Answer {
    (status, Json(json!({ "error": error })))
}
