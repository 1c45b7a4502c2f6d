//! How far the cold tier follows the hot one, table by table, from cold-storage's metrics.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::rates::whole;
use super::source::{NodeState, Seen};
use super::streams::SourceState;

/// The copying.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replication {
    /// When, by this service's clock, µs UTC.
    time_us: i64,
    cold_storage: SourceState,
    /// Since a round over all tables ended without an error; null before the first.
    last_success_seconds_ago: Option<u64>,
    tables: Vec<Table>,
}

/// One table.
#[derive(Debug, Serialize, ToSchema)]
struct Table {
    table: String,
    /// `healthy` when nothing is wrong, `unhealthy` when ranges differ, `degraded` when days stay unproved or it lags by more
    /// than a minute.
    state: NodeState,
    /// How long the oldest row that is not copied has been in the hot tier.
    lag_seconds: Option<f64>,
    backlog_rows: Option<u64>,
    rows_per_second: Option<u64>,
    /// Until nothing is left at that rate; null while nothing moves.
    eta_seconds: Option<u64>,
    /// Stream sequence up to which the table is in the cold tier.
    watermark_sequence: Option<u64>,
    /// Ranges compared and entered in the ledger since cold-storage started.
    verified_ranges: Option<u64>,
    /// Ranges that were not the same in both tiers since it started.
    verification_failures: Option<u64>,
    /// Rows the hot tier let go of since it started.
    released_rows: Option<u64>,
    /// Days older than the retention that stay because they are not proved to be in the cold tier.
    unverified_days: Option<u64>,
    /// Days older than the retention that stay for now although nothing is wrong with them.
    held_days: Option<u64>,
}

const LAG_DEGRADED_SECONDS: f64 = 60.0;

/// From what cold-storage said.
pub(crate) fn of(cold_storage: &Seen) -> Replication {
    let node = cold_storage.node();
    let state =
        if node.state == NodeState::Unreachable { NodeState::Unreachable } else { NodeState::Healthy };
    let error = (state == NodeState::Unreachable).then(|| node.reasons.join("; "));
    let metrics = cold_storage.metrics();
    let last_success = metrics
        .and_then(|metrics| metrics.max("marketprism_cold_last_success_timestamp_seconds", &[]))
        .map(whole)
        .filter(|at| *at > 0);
    let now_seconds = super::now_us().unsigned_abs() / 1_000_000;
    let names: BTreeSet<_> = metrics
        .into_iter()
        .flat_map(|metrics| metrics.of("marketprism_cold_backlog_rows", &[]))
        .filter_map(|sample| sample.labels.get("table").cloned())
        .collect();
    Replication {
        time_us: super::now_us(),
        cold_storage: SourceState { state, age_ms: node.age_ms, error },
        last_success_seconds_ago: last_success.map(|at| now_seconds.saturating_sub(at)),
        tables: names.into_iter().map(|name| table(cold_storage, name)).collect(),
    }
}

fn table(cold_storage: &Seen, table: String) -> Table {
    let labels = [("table", table.as_str())];
    let value = |name: &str| {
        let name = format!("marketprism_cold_{name}");
        cold_storage
            .metrics()
            .and_then(|metrics| metrics.sum(&name, &labels))
            .filter(|value| value.is_finite())
    };
    let count = |name: &str| value(name).map(whole);
    let lag_seconds = value("replication_lag_seconds");
    let (failures, unverified) = (count("verification_failures_total"), count("unverified_partitions"));
    let state = if !cold_storage.is_reachable() {
        NodeState::Unreachable
    } else if failures > Some(0) {
        NodeState::Unhealthy
    } else if unverified > Some(0) || lag_seconds > Some(LAG_DEGRADED_SECONDS) {
        NodeState::Degraded
    } else {
        NodeState::Healthy
    };
    Table {
        state,
        lag_seconds,
        backlog_rows: count("backlog_rows"),
        rows_per_second: count("copied_rows_per_second"),
        eta_seconds: count("backlog_eta_seconds"),
        watermark_sequence: count("watermark_sequence"),
        verified_ranges: count("success_windows_total"),
        verification_failures: failures,
        released_rows: count("released_rows_total"),
        unverified_days: unverified,
        held_days: count("held_partitions"),
        table,
    }
}
