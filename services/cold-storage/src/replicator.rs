//! The loop: table by table, range by range, copy what is missing, compare both tiers, enter it in the ledger.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use marketprism_bus::Bus;
use marketprism_core::DataType;
use marketprism_service::{CancellationToken, Check, Report};
use marketprism_store::range::{Range, Summary};
use marketprism_store::{Store, table};
use tokio::time::timeout;

use crate::config::ReplicationConfig;
use crate::frontier::{Frontier, frontiers};
use crate::metrics::{ReplicationMetrics, TableMetrics};

/// A range that is not the same in both tiers, or holds a sequence twice. It is not entered in the ledger, is told at
/// every attempt, and nothing after it is copied: somebody has to look.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} {}…{} of epoch {} differs: hot has {}, cold has {}",
    table(.range.data_type), .range.from_seq, .range.to_seq, .range.stream_epoch, Shown(.hot), Shown(.cold)
)]
pub(crate) struct Differs {
    range: Range,
    hot: Summary,
    cold: Summary,
}

pub(crate) struct Shown<'a>(pub(crate) &'a Summary);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { rows, sequences, checksum } = self.0;
        write!(f, "{rows} rows of {sequences} messages, checksum {checksum:016x}")
    }
}

/// Whether a table has more to copy at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// All that may be copied is.
    Done,
    /// The turn was over first.
    More,
}

/// Copies one tier into the other.
pub(crate) struct Replicator {
    bus: Bus,
    hot: Store,
    cold: Store,
    config: ReplicationConfig,
    metrics: ReplicationMetrics,
    tables: Vec<Table>,
}

struct Table {
    data_type: DataType,
    check: Check,
    metrics: TableMetrics,
}

impl Replicator {
    pub(crate) fn new(
        bus: Bus,
        hot: Store,
        cold: Store,
        config: ReplicationConfig,
        check: impl Fn(DataType) -> Check,
    ) -> Self {
        let table = |data_type: &DataType| Table {
            data_type: *data_type,
            check: check(*data_type),
            metrics: TableMetrics::new_with_labels(&[("table", table(*data_type))]),
        };
        let tables = config.order.iter().map(table).collect();
        Self { bus, hot, cold, config, metrics: ReplicationMetrics::default(), tables }
    }

    /// Copies until it is told to stop; the range at hand is finished.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), Report> {
        self.metrics.replication_enabled.set(1.0);
        while !token.is_cancelled() {
            let more = self.round(&token).await;
            if !more && timeout(self.config.interval.get(), token.cancelled()).await.is_ok() {
                break;
            }
        }
        self.metrics.replication_enabled.set(0.0);
        Ok(())
    }

    /// Every table once; true when one has more to copy.
    async fn round(&self, token: &CancellationToken) -> bool {
        let (mut more, mut failed) = (false, false);
        for table in &self.tables {
            if token.is_cancelled() {
                return false;
            }
            match self.turn(table, token).await {
                Ok(turn) => {
                    table.check.healthy();
                    more |= turn == Turn::More;
                }
                Err(error) => {
                    failed = true;
                    self.failed(table, &error);
                }
            }
        }
        if !failed {
            self.metrics.last_success_timestamp_seconds.set(now_seconds());
        }
        // A table that fails is not tried again at full speed because another one has more.
        more && !failed
    }

    async fn turn(&self, table: &Table, token: &CancellationToken) -> Result<Turn, Report> {
        let mut left = self.config.ranges_per_turn;
        for frontier in frontiers(&self.bus, &self.hot, table.data_type).await? {
            let mut watermark = self.cold.watermark(table.data_type, frontier.epoch).await?;
            while let Some(range) = self.next(table.data_type, frontier, watermark).await? {
                if left == 0 || token.is_cancelled() {
                    self.measure(table, frontier, watermark).await?;
                    return Ok(Turn::More);
                }
                self.copy(table, &range).await?;
                watermark = range.to_seq;
                left = left.saturating_sub(1);
            }
            self.measure(table, frontier, watermark).await?;
        }
        Ok(Turn::Done)
    }

    async fn next(
        &self,
        data_type: DataType,
        frontier: Frontier,
        after: u64,
    ) -> Result<Option<Range>, Report> {
        let Frontier { epoch, upper } = frontier;
        Ok(self.hot.next_range(data_type, epoch, after, upper, self.config.rows_max_of(data_type)).await?)
    }

    /// One range: copied, compared, entered.
    async fn copy(&self, table: &Table, range: &Range) -> Result<(), Report> {
        let began = Instant::now();
        let rows = self.cold.copy_missing(&self.hot, range).await?;
        table.metrics.rows_copied_total.increment(rows);
        let (hot, cold) = tokio::try_join!(self.hot.summary(range), self.cold.summary(range))?;
        if hot != cold || hot.rows != hot.sequences {
            table.metrics.verification_failures_total.increment(1);
            return Err(Differs { range: *range, hot, cold }.into());
        }
        self.cold.enter_range(range, &cold).await?;
        table.metrics.success_windows_total.increment(1);
        table.metrics.range_duration_seconds.record(began.elapsed());
        let name = marketprism_store::table(range.data_type);
        tracing::debug!(
            table = name,
            from = range.from_seq,
            to = range.to_seq,
            rows = hot.rows,
            "range copied"
        );
        Ok(())
    }

    async fn measure(&self, table: &Table, frontier: Frontier, watermark: u64) -> Result<(), Report> {
        let oldest_us = self.hot.oldest_after(table.data_type, frontier.epoch, watermark).await?;
        let lag = oldest_us.map_or(Duration::ZERO, |micros| {
            let then = UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
            SystemTime::now().duration_since(then).unwrap_or_default()
        });
        table.metrics.replication_lag_seconds.set(lag.as_secs_f64());
        table.metrics.replication_lag_minutes.set((lag.as_secs() / 60) as f64);
        table.metrics.watermark_sequence.set(watermark as f64);
        Ok(())
    }

    fn failed(&self, table: &Table, error: &Report) {
        let text = error.to_string();
        let name = marketprism_store::table(table.data_type);
        tracing::error!(table = name, error = text, "not copied; trying again");
        table.metrics.failed_windows_total.increment(1);
        self.metrics.last_error_timestamp_seconds.set(now_seconds());
        table.check.unhealthy(text);
    }
}

fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
