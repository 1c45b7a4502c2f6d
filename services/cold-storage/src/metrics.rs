//! Every metric of cold-storage. Names under `marketprism_cold_` are interface: alerts and dashboards use them.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// The copying as a whole.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_cold")]
pub(crate) struct ReplicationMetrics {
    /// 1 while copying goes on.
    pub(crate) replication_enabled: Gauge,
    /// When a round last ended without an error, unix seconds.
    pub(crate) last_success_timestamp_seconds: Gauge,
    /// When a table last failed, unix seconds.
    pub(crate) last_error_timestamp_seconds: Gauge,
}

/// One table; label `table`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_cold")]
pub(crate) struct TableMetrics {
    /// Ranges that were copied, compared and entered in the ledger.
    pub(crate) success_windows_total: Counter,
    /// Ranges, or the looking for them, that failed and are tried again.
    pub(crate) failed_windows_total: Counter,
    /// Ranges that are not the same in both tiers; nothing is entered until they are.
    pub(crate) verification_failures_total: Counter,
    /// Rows copied.
    pub(crate) rows_copied_total: Counter,
    /// How long a range took, from finding it to its entry in the ledger.
    pub(crate) range_duration_seconds: Histogram,
    /// Stream sequence up to which the table is in the cold tier, in the newest stream epoch.
    pub(crate) watermark_sequence: Gauge,
    /// How long the oldest row that is not copied has been in the hot tier; 0 when all are.
    pub(crate) replication_lag_seconds: Gauge,
    /// The same in whole minutes.
    pub(crate) replication_lag_minutes: Gauge,
    /// Rows that may be copied and are not yet.
    pub(crate) backlog_rows: Gauge,
    /// Rows copied in a second, over the last ten.
    pub(crate) copied_rows_per_second: Gauge,
    /// When nothing will be left to copy at that rate, seconds from now; infinite while nothing moves.
    pub(crate) backlog_eta_seconds: Gauge,
}

/// Letting go of hot rows; label `table`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_cold")]
pub(crate) struct ReleaseMetrics {
    /// Rows dropped from the hot tier after they were proved to be in the cold one.
    pub(crate) released_rows_total: Counter,
    /// Parts dropped from the hot tier.
    pub(crate) released_parts_total: Counter,
    /// How long rows stay in the hot tier, seconds; 0 where they stay for ever.
    pub(crate) retention_seconds: Gauge,
    /// Days older than the retention that are not proved to be in the cold tier, and stay.
    pub(crate) unverified_partitions: Gauge,
    /// For how long the oldest of them should have been gone; 0 when there is none.
    pub(crate) unverified_age_seconds: Gauge,
    /// Days older than the retention that stay for now although nothing is wrong with them: the stream still holds
    /// messages of them, or they hold the newest row of their table.
    pub(crate) held_partitions: Gauge,
}
