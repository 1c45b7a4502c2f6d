//! How polling order books goes, in `snapshot` mode: there each book is one request, and nothing else would show that they
//! stay away. The snapshot that an incremental book begins with is not counted here. When the last one came is the board's
//! `last_success_timestamp_seconds`.

use bytes::Bytes;
use futures_util::future::Aborted;
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::Integration;
use tokio::time::Instant;

use crate::metrics::{SnapshotMetrics, SnapshotStatusMetrics, place};

/// The handles of one exchange's market.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    all: SnapshotMetrics,
    success: SnapshotStatusMetrics,
    error: SnapshotStatusMetrics,
    timeout: SnapshotStatusMetrics,
    cancelled: SnapshotStatusMetrics,
}

impl Snapshots {
    pub(crate) fn new(integration: &Integration) -> Self {
        let place = place(integration);
        let with_status = |status: &str| {
            SnapshotStatusMetrics::new_with_labels(&[&place[..], &[("status", status.to_owned())]].concat())
        };
        Self {
            all: SnapshotMetrics::new_with_labels(&place),
            success: with_status("success"),
            error: with_status("error"),
            timeout: with_status("timeout"),
            cancelled: with_status("cancelled"),
        }
    }

    /// A request that was `asked` for then has come to its end.
    pub(crate) fn ended(&self, asked: Instant, answer: &Result<Result<Bytes, FetchFailed>, Aborted>) {
        self.all.request_duration_seconds.record(asked.elapsed());
        let of_status = match answer {
            Ok(Ok(_)) => &self.success,
            Ok(Err(FetchFailed::TimedOut(_))) => {
                self.all.timeouts_total.increment(1);
                &self.timeout
            }
            Ok(Err(FetchFailed::Transport(_))) => {
                self.all.reconnections_total.increment(1);
                &self.error
            }
            Ok(Err(FetchFailed::Status { .. })) => &self.error,
            Err(Aborted) => &self.cancelled,
        };
        of_status.requests_total.increment(1);
    }
}
