//! `/control/*`: what the simulator did, and faults on demand. No part of any exchange's protocol.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::fault::{Fault, FaultKind};
use crate::hub::{Hub, Source};
use crate::instrument::Instrument;
use crate::record::DataType;
use crate::unread::unread_bytes;

type Answer = (StatusCode, Json<Value>);

/// The control routes.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/control/status", get(status))
        .route("/control/pause", post(pause))
        .route("/control/resume", post(resume))
        .route("/control/flush", post(flush))
        .route("/control/start", post(start))
        .route("/control/fault", post(fault))
        .route("/control/list", post(list))
        .route("/control/delist", post(delist))
}

async fn status(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let (mode, seed, replay_started, replay_done, malformed_lines) = match &hub.source {
        Source::Synthetic { seed, .. } => ("synthetic", Some(*seed), false, false, 0),
        Source::Replay(gate) => (
            "replay",
            None,
            gate.is_started(),
            gate.is_read() && hub.ledger.in_flight() == 0,
            gate.malformed_lines(),
        ),
    };
    let requests = hub.requests();
    Json(json!({
        "mode": mode,
        "seed": seed,
        "replay_started": replay_started,
        "replay_done": replay_done,
        "paused": *hub.paused.borrow(),
        "connections": hub.connections.open_count(),
        "connections_total": hub.connections.total(),
        "in_flight": hub.ledger.in_flight(),
        "unread_bytes": unread_bytes(hub.port).await,
        "replay_malformed_lines": malformed_lines,
        "ledger_error": hub.ledger.failure(),
        "instruments": instruments(&hub),
        "streams": streams(&hub),
        "withheld": withheld(&hub),
        "faults": hub.faults.injected(),
        "requests": requests,
    }))
}

async fn pause(State(hub): State<Arc<Hub>>) -> Json<Value> {
    hub.paused.send_replace(true);
    Json(
        json!({ "effect": "no further events; in_flight in /control/status falls to 0 when all are written, unread_bytes when all are read" }),
    )
}

async fn resume(State(hub): State<Arc<Hub>>) -> Json<Value> {
    hub.paused.send_replace(false);
    Json(json!({ "effect": "events go on where they stood" }))
}

async fn flush(State(hub): State<Arc<Hub>>) -> Answer {
    match hub.ledger.flush() {
        Ok(()) => (StatusCode::OK, Json(json!({ "effect": "every settled line is in the ledger file" }))),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn start(State(hub): State<Arc<Hub>>) -> Answer {
    match &hub.source {
        Source::Replay(gate) => {
            gate.start();
            (StatusCode::OK, Json(json!({ "effect": "the replay starts without waiting for subscribers" })))
        }
        Source::Synthetic { .. } => refused(StatusCode::BAD_REQUEST, "only a replay waits to be started"),
    }
}

async fn fault(State(hub): State<Arc<Hub>>, body: Bytes) -> Answer {
    let fault = match Fault::parse(&body) {
        Ok(fault) => fault,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &format!("fault: {error}")),
    };
    let effect = match hub.faults.inject(&fault, &hub.catalogue) {
        Ok(effect) => effect,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    tracing::info!(effect, at = ?fault.at, "fault");
    let reached = carry_out(&hub, &fault);
    (StatusCode::OK, Json(json!({ "effect": effect, "connections": reached })))
}

/// Does what a fault does at once; how many connections (or, for `maintenance_reset`, books) it reached.
fn carry_out(hub: &Hub, fault: &Fault) -> Option<usize> {
    let connections = hub.connections.selected(&fault.at);
    match fault.kind {
        FaultKind::Disconnect => {
            connections.iter().for_each(|connection| connection.cut());
            Some(connections.len())
        }
        FaultKind::ServerShutdown => {
            Some(connections.iter().filter(|one| one.exchange.announce_shutdown(one)).count())
        }
        FaultKind::MaintenanceReset => {
            let exchanges = Exchange::ALL.into_iter().filter(|one| fault.at.means_exchange(*one));
            Some(exchanges.map(|one| one.maintenance(hub, &fault.at)).sum())
        }
        FaultKind::Silence { .. } => {
            connections.iter().for_each(|connection| connection.silence());
            Some(connections.len())
        }
        FaultKind::Stall { .. }
        | FaultKind::SkipDiff { .. }
        | FaultKind::DropTrade { .. }
        | FaultKind::DuplicateDiff { .. }
        | FaultKind::DuplicateTrade { .. }
        | FaultKind::Reorder { .. }
        | FaultKind::CorruptFrame { .. }
        | FaultKind::Refuse { .. }
        | FaultKind::RateLimit { .. }
        | FaultKind::SlowRest { .. }
        | FaultKind::ClockSkew { .. }
        | FaultKind::Burst { .. } => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    exchange: Exchange,
    instrument_id: String,
}

async fn list(State(hub): State<Arc<Hub>>, body: Bytes) -> Answer {
    set_listed(&hub, &body, true).await
}

async fn delist(State(hub): State<Arc<Hub>>, body: Bytes) -> Answer {
    set_listed(&hub, &body, false).await
}

async fn set_listed(hub: &Hub, body: &[u8], listed: bool) -> Answer {
    let Listing { exchange, instrument_id } = match serde_json::from_slice(body) {
        Ok(listing) => listing,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &format!("listing: {error}")),
    };
    let changed = hub.catalogue.set_listed(exchange, &instrument_id, listed);
    let Some(generator) = hub.generator().filter(|_| !changed.is_empty()) else {
        let error = format!("instrument_id: {} has no {instrument_id:?} to list", exchange.as_str());
        return refused(StatusCode::BAD_REQUEST, &error);
    };
    generator.relist(&hub.catalogue);
    for index in changed {
        exchange.listing_changed(hub, index).await;
    }
    let word = if listed { "in" } else { "no longer in" };
    (StatusCode::OK, Json(json!({ "effect": format!("{instrument_id} is {word} the lists") })))
}

fn instruments(hub: &Hub) -> Vec<Value> {
    let one = |instrument: &Instrument| {
        json!({
            "exchange": instrument.market.exchange(),
            "market_type": instrument.market_type,
            "symbol": instrument.symbol(),
            "instrument_id": instrument.instrument_id,
        })
    };
    hub.catalogue.listed().map(|(_, instrument)| one(instrument)).collect()
}

fn streams(hub: &Hub) -> Vec<Value> {
    let mut sent: Vec<_> = hub.ledger.sent().into_iter().collect();
    sent.sort_unstable_by_key(|(key, _)| *key);
    sent.into_iter()
        .filter_map(|((instrument, data_type), sent)| {
            let mut row = row(hub, instrument, data_type)?;
            let fields = row.as_object_mut()?;
            fields.insert("sent".to_owned(), sent.events.into());
            fields.insert("last_sent_us".to_owned(), sent.last_sent_us.into());
            Some(row)
        })
        .collect()
}

fn withheld(hub: &Hub) -> Vec<Value> {
    hub.faults
        .withheld()
        .into_iter()
        .filter_map(|((instrument, data_type, reason), count)| {
            let mut row = row(hub, instrument, data_type)?;
            let fields = row.as_object_mut()?;
            fields.insert("reason".to_owned(), json!(reason));
            fields.insert("count".to_owned(), count.into());
            Some(row)
        })
        .collect()
}

fn row(hub: &Hub, instrument: usize, data_type: DataType) -> Option<Value> {
    let instrument = hub.catalogue.get(instrument)?;
    Some(json!({
        "exchange": instrument.market.exchange(),
        "market_type": instrument.market_type,
        "data_type": data_type,
        "symbol": instrument.symbol(),
        "instrument_id": instrument.instrument_id,
    }))
}

fn refused(status: StatusCode, error: &str) -> Answer {
    (status, Json(json!({ "error": error })))
}
