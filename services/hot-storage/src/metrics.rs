//! Every metric of hot-storage. Names under `marketprism_storage_` are interface: alerts and dashboards use them.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// One lane; label `data_type`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_storage")]
pub(crate) struct LaneMetrics {
    /// Messages delivered by the broker, redeliveries included.
    pub(crate) messages_received_total: Counter,
    /// Messages that are stored and acknowledged.
    pub(crate) messages_processed_total: Counter,
    /// Messages that can never be stored and became dead letters.
    pub(crate) messages_failed_total: Counter,
    /// Messages whose payload or subject could not be read; all of them are among the failed.
    pub(crate) validation_errors_total: Counter,
    /// Messages that might have been stored before and were looked up.
    pub(crate) messages_doubtful_total: Counter,
    /// Messages that were found stored, and not stored again.
    pub(crate) messages_already_stored_total: Counter,
    /// Inserts confirmed by ClickHouse.
    pub(crate) batch_inserts_total: Counter,
    /// Rows of these inserts.
    pub(crate) batch_size_total: Counter,
    /// Rows of each insert.
    pub(crate) batch_rows: Histogram,
    /// How long each insert took.
    pub(crate) insert_duration_seconds: Histogram,
    /// Inserts, and questions about what is stored, that failed and were tried again.
    pub(crate) clickhouse_insert_errors_total: Counter,
    /// Messages in memory: delivered and not yet acknowledged.
    pub(crate) batch_queue_size: Gauge,
    /// Bytes of payload in memory.
    pub(crate) batch_queue_bytes: Gauge,
    /// Messages of the stream that wait behind the last batch.
    pub(crate) messages_pending: Gauge,
    /// From the publishing of a batch's oldest message to its row being confirmed.
    pub(crate) lag_seconds: Gauge,
    /// When the last message was stored, unix seconds.
    pub(crate) last_message_timestamp_seconds: Gauge,
    /// When something last failed, unix seconds.
    pub(crate) last_error_timestamp_seconds: Gauge,
    /// Batches that were pulled and may have been handed to another instance before they were stored.
    pub(crate) batches_given_up_total: Counter,
    /// 1 while the broker gives the messages to this instance, 0 on standby and before the first message.
    pub(crate) pinned: Gauge,
    /// The stream epoch that rows are written in.
    pub(crate) stream_epoch: Gauge,
}

/// What waits in one stream; label `stream`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_storage")]
pub(crate) struct BacklogMetrics {
    /// Messages of the stream that are not stored yet.
    pub(crate) backlog_messages: Gauge,
    /// How long the oldest of them has waited.
    pub(crate) backlog_lag_seconds: Gauge,
    /// When the stream will drop the oldest of them, as things go; +Inf while nothing waits.
    pub(crate) seconds_until_loss: Gauge,
    /// Messages the stream dropped before they were stored.
    pub(crate) messages_lost_total: Counter,
}

impl LaneMetrics {
    pub(crate) fn of(data_type: marketprism_core::DataType) -> Self {
        let metrics = Self::new_with_labels(&[("data_type", data_type.as_str())]);
        metrics.last_error_timestamp_seconds.set(0.0);
        metrics.last_message_timestamp_seconds.set(0.0);
        metrics
    }
}
