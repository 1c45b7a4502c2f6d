//! The board on which exchanges and connections write how their streams are doing, and the task that turns it into health and
//! metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use marketprism_bus::{Bus, Status};
use marketprism_core::DataType;
use marketprism_exchanges::{StreamState, StreamStatus};
use marketprism_service::{CancellationToken, Check, Health, Report};
use serde_json::json;

use crate::clock;
use crate::gate::Gate;
use crate::metrics::StreamMetrics;

const STATES: [(StreamState, &str); 5] = [
    (StreamState::Disconnected, "disconnected"),
    (StreamState::Live, "live"),
    (StreamState::Waiting, "waiting"),
    (StreamState::Syncing, "syncing"),
    (StreamState::Stale, "stale"),
];

/// How often health and metrics are brought up to date.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Symbols named in a reason; the counts say how many more there are.
const NAMED_MAX: usize = 5;

/// Shared by every connection. Bounded by the plan: one entry a connection, one complaint an exchange.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    /// By exchange (integration id) and connection.
    streams: BTreeMap<(String, String), Vec<StreamStatus>>,
    /// By exchange.
    complaints: BTreeMap<String, String>,
    /// By exchange: what is closed is a complaint, too.
    gates: BTreeMap<String, Vec<Gate>>,
}

impl Board {
    /// Replaces what a connection said before.
    pub(crate) fn streams(&self, exchange: &str, connection: &str, streams: Vec<StreamStatus>) {
        self.lock().streams.insert((exchange.to_owned(), connection.to_owned()), streams);
    }

    /// Replaces what is wrong with a whole exchange; `None` when nothing is.
    pub(crate) fn complain(&self, exchange: &str, complaint: Option<String>) {
        let mut shared = self.lock();
        match complaint {
            Some(complaint) => shared.complaints.insert(exchange.to_owned(), complaint),
            None => shared.complaints.remove(exchange),
        };
    }

    /// The gates of an exchange, watched from now on.
    pub(crate) fn gates(&self, exchange: &str, gates: Vec<Gate>) {
        self.lock().gates.insert(exchange.to_owned(), gates);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports until told to stop.
pub(crate) async fn report(
    board: Board,
    bus: Bus,
    health: Health,
    stop: CancellationToken,
) -> Result<(), Report> {
    let mut ticks = tokio::time::interval(REPORT_INTERVAL);
    let nats = health.check("nats");
    let exchanges = health.check("exchanges");
    let mut gauges = BTreeMap::new();
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
        let shared = board.lock();
        let closed = shared.gates.values().flatten().filter_map(Gate::closed).map(|closed| closed.why);
        match shared.complaints.values().cloned().chain(closed).collect::<BTreeSet<_>>() {
            complaints if complaints.is_empty() => exchanges.healthy(),
            complaints => exchanges.degraded(Vec::from_iter(complaints).join("; ")),
        }
        for (data_type, streams) in by_data_type(&shared) {
            judge(&health.check(data_type.as_str()), &streams);
        }
        publish_counts(&shared, &mut gauges);
    }
}

fn by_data_type(shared: &Shared) -> BTreeMap<DataType, Vec<(&str, &StreamStatus)>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((exchange, _), streams) in &shared.streams {
        for stream in streams {
            sorted.entry(stream.data_type).or_default().push((exchange.as_str(), stream));
        }
    }
    sorted
}

/// All streams of a data type down is unhealthy; some of them is degraded: the service is of use still.
fn judge(check: &Check, streams: &[(&str, &StreamStatus)]) {
    let now = clock::now();
    let count = |state| streams.iter().filter(|(_, stream)| stream.state == state).count();
    let down: Vec<_> = streams.iter().filter(|(_, stream)| stream.state != StreamState::Live).collect();
    let youngest = streams.iter().filter_map(|(_, stream)| stream.last_received).max();
    check.details(json!({
        "streams": streams.len(),
        "live": count(StreamState::Live),
        "waiting": count(StreamState::Waiting),
        "syncing": count(StreamState::Syncing),
        "stale": count(StreamState::Stale),
        "time_since_last_update_seconds": youngest.map(|last| now.micros_since(last) / 1_000_000),
    }));
    if down.is_empty() {
        return check.healthy();
    }
    let named: Vec<_> = down
        .iter()
        .take(NAMED_MAX)
        .map(|(exchange, stream)| format!("{exchange} {} {}", stream.symbol, state_name(stream.state)))
        .collect();
    let reason = format!("{} of {} streams are not live: {}", down.len(), streams.len(), named.join(", "));
    if down.len() == streams.len() { check.unhealthy(reason) } else { check.degraded(reason) }
}

fn state_name(state: StreamState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("unknown", |(_, name)| name)
}

type Gauges = BTreeMap<(String, DataType), Vec<(StreamState, StreamMetrics)>>;

fn publish_counts(shared: &Shared, gauges: &mut Gauges) {
    let mut counts: BTreeMap<(&str, DataType), Vec<StreamState>> = BTreeMap::new();
    for ((exchange, _), streams) in &shared.streams {
        for stream in streams {
            counts.entry((exchange, stream.data_type)).or_default().push(stream.state);
        }
    }
    for ((exchange, data_type), states) in counts {
        let handles = gauges.entry((exchange.to_owned(), data_type)).or_insert_with(|| {
            let handle = |state: &'static str| {
                let labels = [
                    ("exchange_config", exchange.to_owned()),
                    ("data_type", data_type.to_string()),
                    ("state", state.to_owned()),
                ];
                StreamMetrics::new_with_labels(&labels)
            };
            STATES.iter().map(|(state, name)| (*state, handle(name))).collect()
        });
        for (state, handle) in handles {
            let count = states.iter().filter(|found| *found == state).count();
            handle.streams.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
}
