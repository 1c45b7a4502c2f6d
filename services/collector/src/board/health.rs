//! Turns the board into health, once a second: a check of each data type, of the exchanges and of the broker, and `coverage`,
//! which says how fresh each data type of each exchange is.

use std::collections::BTreeMap;
use std::time::Duration;

use marketprism_bus::{Bus, Status};
use marketprism_core::DataType;
use marketprism_exchanges::{StreamState, StreamStatus};
use marketprism_service::{CancellationToken, Check, Health, Report};
use serde_json::{Value, json};

use super::gauges::Gauges;
use super::{Board, Shared, state_name};
use crate::clock;

/// How often health and metrics are brought up to date.
const INTERVAL: Duration = Duration::from_secs(1);
/// Symbols named in a reason; the counts say how many more there are.
const NAMED_MAX: usize = 5;
/// What a collector without which is of no use to anybody.
const ESSENTIAL: [DataType; 2] = [DataType::Trade, DataType::OrderBook];

/// Reports until told to stop.
pub(crate) async fn report(
    board: Board,
    bus: Bus,
    health: Health,
    mut gauges: Gauges,
    stop: CancellationToken,
) -> Result<(), Report> {
    let mut ticks = tokio::time::interval(INTERVAL);
    let nats = health.check("nats");
    let exchanges = health.check("exchanges");
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match *bus.status().borrow() {
            Status::Connected => nats.healthy(),
            status @ (Status::Disconnected | Status::Closed) => {
                nats.unhealthy(format!("{status:?}: messages wait in bounded queues"));
            }
        }
        gauges.measure_process();
        let shared = board.lock();
        match shared.complaints() {
            complaints if complaints.is_empty() => exchanges.healthy(),
            complaints => exchanges.degraded(complaints.join("; ")),
        }
        let sorted = by_data_type(&shared);
        let is_any_live = shared.streams().any(|(.., stream)| stream.state == StreamState::Live);
        for (data_type, streams) in &sorted {
            judge(&health.check(data_type.as_str()), *data_type, streams, is_any_live);
        }
        health.section("coverage", coverage(&sorted));
        gauges.set(&shared);
    }
}

type Streams<'a> = Vec<(&'a str, &'a StreamStatus)>;

fn by_data_type(shared: &Shared) -> BTreeMap<DataType, Streams<'_>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (place, _, stream) in shared.streams() {
        sorted.entry(stream.data_type).or_default().push((place.exchange.as_str(), stream));
    }
    sorted
}

/// Some streams down is degraded, the service is of use still; all of them is unhealthy where they are what it is there for,
/// or where nothing flows at all.
fn judge(check: &Check, data_type: DataType, streams: &Streams<'_>, is_any_live: bool) {
    check.details(facts(&streams.iter().map(|(_, stream)| *stream).collect::<Vec<_>>()));
    let down: Vec<_> = streams.iter().filter(|(_, stream)| !is_well(stream)).collect();
    if down.is_empty() {
        return check.healthy();
    }
    let named: Vec<_> = down
        .iter()
        .take(NAMED_MAX)
        .map(|(exchange, stream)| format!("{exchange} {} {}", stream.symbol, state_name(stream.state)))
        .collect();
    let reason = format!("{} of {} streams are not live: {}", down.len(), streams.len(), named.join(", "));
    let is_needed = ESSENTIAL.contains(&data_type) || !is_any_live;
    if down.len() == streams.len() && is_needed { check.unhealthy(reason) } else { check.degraded(reason) }
}

/// A stream of liquidations that waits for the first one is as it should be: there may be none for hours.
fn is_well(stream: &StreamStatus) -> bool {
    stream.state == StreamState::Live
        || stream.state == StreamState::Waiting && stream.data_type == DataType::Liquidation
}

fn coverage(sorted: &BTreeMap<DataType, Streams<'_>>) -> Value {
    let of_data_type = |streams: &Streams<'_>| {
        let mut exchanges: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (exchange, stream) in streams {
            exchanges.entry(*exchange).or_default().push(*stream);
        }
        let facts = |(exchange, streams): (&str, Vec<&StreamStatus>)| {
            let mut facts = facts(&streams);
            let well = streams.iter().filter(|stream| is_well(stream)).count();
            let status = match well {
                _ if well == streams.len() => "healthy",
                0 => "unhealthy",
                _ => "degraded",
            };
            if let Some(facts) = facts.as_object_mut() {
                facts.insert("status".to_owned(), status.into());
            }
            (exchange.to_owned(), facts)
        };
        exchanges.into_iter().map(facts).collect::<Value>()
    };
    sorted.iter().map(|(data_type, streams)| (data_type.to_string(), of_data_type(streams))).collect()
}

fn facts(streams: &[&StreamStatus]) -> Value {
    let now = clock::now();
    let count = |state| streams.iter().filter(|stream| stream.state == state).count();
    let youngest = streams.iter().filter_map(|stream| stream.last_received).max();
    json!({
        "streams": streams.len(),
        "live": count(StreamState::Live),
        "waiting": count(StreamState::Waiting),
        "syncing": count(StreamState::Syncing),
        "stale": count(StreamState::Stale),
        "time_since_last_update_seconds": youngest.map(|last| now.micros_since(last) / 1_000_000),
    })
}
