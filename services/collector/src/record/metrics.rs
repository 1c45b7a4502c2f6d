//! Metrics of a recording.

use metrics::Counter;
use metrics_derive::Metrics;

/// What is recorded. There only while `collector record --publish` runs.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_collector")]
pub(super) struct RecordMetrics {
    /// Frames, REST answers and other events recorded.
    pub(super) recorded_records_total: Counter,
    /// Events that are missing in the recording, because the disk was full or slow; the recording says so.
    pub(super) recorded_lost_total: Counter,
    /// Bytes written to the recording.
    pub(super) recorded_bytes_total: Counter,
}
