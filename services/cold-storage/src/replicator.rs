//! The loop: table by table, range by range, copy what is missing, compare both tiers, enter it in the ledger.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_bus::{Bus, Lease};
use marketprism_core::DataType;
use marketprism_integrity::frontier::{Frontier, frontiers};
use marketprism_service::{CancellationToken, Check, Health, Report, now_seconds};
use marketprism_store::range::{Range, Summary};
use marketprism_store::{Store, table};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::ReplicationConfig;
use crate::metrics::{ReplicationMetrics, TableMetrics};
use crate::pace::Pace;
use crate::progress::Progress;

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
    pace: Pace,
    health: Health,
    lease: Lease,
    /// How far each table is, as health shows it.
    facts: Map<String, Value>,
}

struct Table {
    data_type: DataType,
    check: Check,
    metrics: TableMetrics,
    progress: Progress,
}

impl Replicator {
    pub(crate) fn new(
        bus: Bus,
        hot: Store,
        cold: Store,
        config: ReplicationConfig,
        health: Health,
        lease: Lease,
    ) -> Self {
        let now = Instant::now();
        let table = |data_type: &DataType| Table {
            data_type: *data_type,
            check: health.check(format!("table {}", table(*data_type))),
            metrics: TableMetrics::new_with_labels(&[("table", table(*data_type))]),
            progress: Progress::new(now),
        };
        let tables = config.order.iter().map(table).collect();
        let pace = Pace::new(config.rows_per_second_max, config.bytes_per_second_max);
        let metrics = ReplicationMetrics::default();
        Self { bus, hot, cold, config, metrics, tables, pace, health, lease, facts: Map::new() }
    }

    /// Copies until it is told to stop; the range at hand is finished.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), Report> {
        let mut tables = std::mem::take(&mut self.tables);
        self.metrics.replication_enabled.set(1.0);
        while !token.is_cancelled() {
            let more = self.round(&mut tables, &token).await;
            if !more && timeout(self.config.interval.get(), token.cancelled()).await.is_ok() {
                break;
            }
        }
        self.metrics.replication_enabled.set(0.0);
        Ok(())
    }

    /// Every table once; true when one has more to copy.
    async fn round(&mut self, tables: &mut [Table], token: &CancellationToken) -> bool {
        let (mut more, mut failed) = (false, false);
        for table in tables {
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
            self.report(table);
        }
        if !failed {
            self.metrics.last_success_timestamp_seconds.set(now_seconds());
        }
        // A table that fails is not tried again at full speed because another one has more.
        more && !failed
    }

    async fn turn(&mut self, table: &mut Table, token: &CancellationToken) -> Result<Turn, Report> {
        let mut left = self.config.ranges_per_turn;
        let mut courses = Vec::new();
        for frontier in frontiers(&self.bus, &self.hot, &self.cold, table.data_type).await? {
            let watermark = self.cold.watermark(table.data_type, frontier.epoch).await?;
            courses.push((self.old_enough(table.data_type, frontier, watermark).await?, watermark));
        }
        self.count_backlog(table, &courses).await?;
        for (frontier, mut watermark) in courses {
            loop {
                // Before the copying: a range that fails, or waits for its turn, must not leave the lag of before it.
                self.measure(table, frontier, watermark).await?;
                let Some(range) = self.next(table.data_type, frontier, watermark).await? else { break };
                if left == 0 || token.is_cancelled() {
                    return Ok(Turn::More);
                }
                let may_go_on = self.copy(table, &range).await?;
                watermark = range.to_seq;
                left = left.saturating_sub(1);
                self.report(table);
                // Told to stop meanwhile, the loop ends by itself.
                drop(timeout_at(may_go_on, token.cancelled()).await);
            }
        }
        Ok(Turn::Done)
    }

    /// The frontier, drawn back to before the first row that is too young to be copied.
    async fn old_enough(
        &self,
        data_type: DataType,
        frontier: Frontier,
        watermark: u64,
    ) -> Result<Frontier, Report> {
        let lag = self.config.lag.get();
        if lag.is_zero() || frontier.upper <= watermark {
            return Ok(frontier);
        }
        let than = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(lag);
        let than_us = i64::try_from(than.as_micros()).unwrap_or(i64::MAX);
        let first = self.hot.first_younger(data_type, frontier.epoch, watermark, than_us).await?;
        let upper = first.map_or(frontier.upper, |first| frontier.upper.min(first.saturating_sub(1)));
        Ok(Frontier { upper, ..frontier })
    }

    async fn count_backlog(&self, table: &mut Table, courses: &[(Frontier, u64)]) -> Result<(), Report> {
        let now = Instant::now();
        if !table.progress.must_count(now) {
            return Ok(());
        }
        let mut rows = 0_u64;
        for (Frontier { epoch, upper }, watermark) in courses.iter().filter(|(one, after)| one.upper > *after)
        {
            let from_seq = watermark.saturating_add(1);
            let left = Range { data_type: table.data_type, stream_epoch: *epoch, from_seq, to_seq: *upper };
            rows = rows.saturating_add(self.hot.rows_in(&left).await?);
        }
        table.progress.counted(now, rows);
        Ok(())
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

    /// One range: copied, compared, entered. Returns when the next one may begin.
    async fn copy(&mut self, table: &mut Table, range: &Range) -> Result<Instant, Report> {
        let began = Instant::now();
        let still_ours = || async { Ok::<_, Report>(self.lease.confirm().await?) };
        let copied = self.cold.copy_missing(&self.hot, range, still_ours).await?;
        let may_go_on = self.pace.charge(began, copied);
        table.metrics.rows_copied_total.increment(copied.rows);
        let (hot, cold) = tokio::try_join!(self.hot.summary(range), self.cold.summary(range))?;
        if hot != cold || hot.rows != hot.sequences {
            table.metrics.verification_failures_total.increment(1);
            return Err(Differs { range: *range, hot, cold }.into());
        }
        self.lease.confirm().await?;
        self.cold.enter_range(range, &cold).await?;
        table.progress.copied(hot.rows);
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
        Ok(may_go_on)
    }

    async fn measure(&self, table: &mut Table, frontier: Frontier, watermark: u64) -> Result<(), Report> {
        let oldest_us = self.hot.oldest_after(table.data_type, frontier.epoch, watermark).await?;
        let lag = oldest_us.map_or(Duration::ZERO, |micros| {
            let then = UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
            SystemTime::now().duration_since(then).unwrap_or_default()
        });
        table.metrics.replication_lag_seconds.set(lag.as_secs_f64());
        table.metrics.replication_lag_minutes.set((lag.as_secs() / 60) as f64);
        table.metrics.watermark_sequence.set(watermark as f64);
        table.progress.watermark = watermark;
        Ok(())
    }

    /// Shows how far a table is; while something is left, a line tells it every ten seconds.
    fn report(&mut self, table: &mut Table) {
        let Table { data_type, metrics, progress, .. } = table;
        let name = marketprism_store::table(*data_type);
        let due = progress.take_rate(Instant::now());
        metrics.backlog_rows.set(progress.backlog_rows as f64);
        metrics.copied_rows_per_second.set(progress.rows_per_second as f64);
        metrics.backlog_eta_seconds.set(progress.eta_seconds().map_or(f64::INFINITY, |eta| eta as f64));
        self.facts.insert(name.to_owned(), progress.facts());
        self.health.section("replication", Value::Object(self.facts.clone()));
        if due && progress.backlog_rows > 0 {
            let (backlog_rows, eta_seconds) = (progress.backlog_rows, progress.eta_seconds());
            tracing::info!(
                table = name,
                backlog_rows,
                rows_per_second = progress.rows_per_second,
                eta_seconds,
                "copying"
            );
        }
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
