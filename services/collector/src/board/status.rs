//! The page `/status`: every stream, or those that the query names.

use std::collections::BTreeMap;

use marketprism_core::{Subject, Timestamp};
use marketprism_exchanges::{StreamStatus, registry};
use serde_json::{Value, json};

use super::{Board, Entry, Place, key, state_name};
use crate::clock;

/// Streams on one page unless the query's `limit` says otherwise: about 400 KB.
const LIMIT: usize = 1_000;
/// Streams on one page at most.
const LIMIT_MAX: usize = 10_000;

/// `?exchange=binance_spot&market_type=&symbol=&data_type=&state=stale&limit=10`, each optional.
pub(crate) fn page(board: &Board, query: &BTreeMap<String, String>) -> Value {
    let now = clock::now();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT).min(LIMIT_MAX);
    let shared = board.lock();
    let matching = |(place, _, stream): &(&Place, &Entry, &StreamStatus)| {
        [
            ("exchange", place.exchange.as_str()),
            ("connection", place.connection.as_str()),
            ("market_type", stream.market_type.as_str()),
            ("symbol", stream.symbol.as_str()),
            ("data_type", stream.data_type.as_str()),
            ("state", state_name(stream.state)),
        ]
        .iter()
        .all(|(field, value)| query.get(*field).is_none_or(|wanted| wanted == value))
    };
    let (total, matched) = (shared.streams().count(), shared.streams().filter(matching).count());
    let streams: Vec<_> = shared
        .streams()
        .filter(matching)
        .take(limit)
        .map(|(place, entry, stream)| line(place, entry, stream, now))
        .collect();
    let connections: Vec<_> = shared
        .connections
        .iter()
        .map(|(place, entry)| {
            let Place { exchange, connection } = place;
            let streams = entry.streams.len();
            json!({ "exchange": exchange, "connection": connection, "links": entry.links, "streams": streams })
        })
        .collect();
    json!({
        "time_us": now.as_micros(),
        "complaints": shared.complaints(),
        "connections": connections,
        "streams_total": total,
        "streams_matched": matched,
        "streams": streams,
    })
}

fn line(place: &Place, entry: &Entry, stream: &StreamStatus, now: Timestamp) -> Value {
    let counts = entry.counts.get(&key(stream)).copied().unwrap_or_default();
    let millis = |later: Timestamp, earlier: Timestamp| later.micros_since(earlier) / 1_000;
    let latency =
        stream.last_received.zip(stream.last_event).map(|(received, event)| millis(received, event));
    json!({
        "exchange": place.exchange,
        "subject": subject(place, stream),
        "connection": place.connection,
        "links": entry.links,
        "market_type": stream.market_type,
        "symbol": stream.symbol,
        "data_type": stream.data_type,
        "state": state_name(stream.state),
        "events": stream.events,
        "events_per_minute": counts.rate.per_minute,
        "last_event_us": stream.last_event.map(Timestamp::as_micros),
        "last_received_us": stream.last_received.map(Timestamp::as_micros),
        "age_ms": stream.last_received.map(|received| millis(now, received)),
        "latency_ms": latency,
        "gaps": counts.gaps,
        "last_gap_us": counts.last_gap.map(Timestamp::as_micros),
        "resyncs": counts.resyncs,
    })
}

/// Where its messages are published.
fn subject(place: &Place, stream: &StreamStatus) -> Option<String> {
    let exchange = registry::find(&place.exchange)?.exchange;
    let subject = Subject::new(stream.data_type, exchange, stream.market_type, &stream.symbol);
    subject.ok().map(|subject| subject.to_string())
}
