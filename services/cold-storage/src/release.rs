//! Lets go of hot days older than the retention, once they are proved to be in the cold tier at that moment.
//!
//! A day goes when all of it is below the watermark of the ledger, both tiers agree on its count and checksum, the
//! stream can deliver none of its messages again (hot-storage would not find them and store them a second time), and it
//! does not hold the newest row of its table (by which hot-storage knows its place in the stream). Anything else stays;
//! what stays although it should not is told. Parts go one by one, each entered in the release log before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_bus::{Bus, Lease};
use marketprism_core::{DataType, topology};
use marketprism_service::{CancellationToken, Check, Report};
use marketprism_store::range::{Range, Summary};
use marketprism_store::release::{Day, PartRows, in_effect};
use marketprism_store::{Store, table};
use tokio::time::timeout;

use crate::config::ReleaseConfig;
use crate::metrics::ReleaseMetrics;
use crate::proof::{Both, Proof, Sum, compare};
use crate::replicator::Shown;

const DAY: Duration = Duration::from_secs(86_400);

/// Lets go of what is proved.
pub(crate) struct Releaser {
    bus: Bus,
    hot: Store,
    cold: Store,
    config: ReleaseConfig,
    check: Check,
    lease: Lease,
    tables: Vec<(DataType, ReleaseMetrics)>,
}

/// What became of a day.
#[derive(Debug)]
enum Fate {
    /// Its parts were dropped.
    Released,
    /// It has to stay for now, and nothing is wrong.
    Held(&'static str),
    /// It should go, and is not proved.
    Unproven(Unproven),
}

/// Why a day is not proved.
#[derive(Debug, thiserror::Error)]
enum Unproven {
    #[error("rows up to sequence {to_seq} of epoch {epoch}, the ledger ends at {watermark}")]
    NotCopied { epoch: u32, to_seq: u64, watermark: u64 },
    #[error(
        "epoch {epoch} differs: hot has {} rows, checksum {:016x}; released were {}, {:016x}; cold has {}",
        .hot.rows, .hot.checksum, .released.rows, .released.checksum, Shown(.cold)
    )]
    Differs { epoch: u32, hot: Sum, released: Sum, cold: Summary },
}

/// Up to where rows of one epoch may go.
#[derive(Debug, Clone, Copy)]
struct Bound {
    epoch: u32,
    /// Everything up to here is in the cold tier.
    watermark: u64,
    /// The stream may deliver these and later ones again; `None` for a stream that is gone.
    deliverable: Option<u64>,
    /// The newest row of the table, where this is the newest epoch.
    newest: Option<u64>,
}

impl Releaser {
    pub(crate) fn new(
        bus: Bus,
        hot: Store,
        cold: Store,
        config: ReleaseConfig,
        check: Check,
        lease: Lease,
    ) -> Self {
        let metrics = |one: &DataType| {
            let metrics = ReleaseMetrics::new_with_labels(&[("table", table(*one))]);
            metrics.retention_seconds.set(config.retention_of(*one).unwrap_or_default());
            (*one, metrics)
        };
        let tables = DataType::ALL.iter().map(metrics).collect();
        Self { bus, hot, cold, config, check, lease, tables }
    }

    /// Looks for what may go until it is told to stop; the part at hand is finished.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), Report> {
        while !token.is_cancelled() {
            self.round(&token).await;
            if timeout(self.config.interval.get(), token.cancelled()).await.is_ok() {
                break;
            }
        }
        Ok(())
    }

    async fn round(&self, token: &CancellationToken) {
        let mut held_up = None;
        for (data_type, metrics) in &self.tables {
            if token.is_cancelled() {
                return;
            }
            match self.table(*data_type, metrics, token).await {
                Ok(reason) => held_up = held_up.or(reason),
                Err(error) => {
                    let reason =
                        error.context(format_args!("{} is not released", table(*data_type))).to_string();
                    tracing::error!(
                        table = table(*data_type),
                        error = reason,
                        "nothing released; trying again"
                    );
                    held_up = held_up.or(Some(reason));
                }
            }
        }
        match held_up {
            None => self.check.healthy(),
            // Nothing is lost by it: the hot tier only grows.
            Some(reason) => self.check.degraded(reason),
        }
    }

    /// Every day of a table that is due; tells the first of those that should go and may not.
    async fn table(
        &self,
        data_type: DataType,
        metrics: &ReleaseMetrics,
        token: &CancellationToken,
    ) -> Result<Option<String>, Report> {
        let Some(retention) = self.config.retention_of(data_type) else { return Ok(None) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = now.saturating_sub(retention).as_secs() / DAY.as_secs();
        let days = self.hot.days_before(data_type, u16::try_from(before).unwrap_or(u16::MAX)).await?;
        let mut unproven = (0_u32, None);
        let mut held = 0_u32;
        if !days.is_empty() {
            // Until the opposite is shown.
            metrics.unverified_partitions.set(u32::try_from(days.len()).unwrap_or(u32::MAX));
        }
        let bounds = if days.is_empty() { Vec::new() } else { self.bounds(data_type).await? };
        for day in &days {
            if token.is_cancelled() {
                break;
            }
            match self.day(data_type, day, &bounds, metrics).await? {
                Fate::Released => {}
                Fate::Held(reason) => {
                    held = held.saturating_add(1);
                    tracing::debug!(table = table(data_type), day = day.name, reason, "not released yet");
                }
                Fate::Unproven(reason) => {
                    let reason = reason.to_string();
                    tracing::warn!(
                        table = table(data_type),
                        day = day.name,
                        reason,
                        "not proved, not released"
                    );
                    unproven.0 = unproven.0.saturating_add(1);
                    // Days come oldest first.
                    let due = DAY * (u32::from(day.number) + 1) + retention;
                    unproven.1.get_or_insert_with(|| {
                        let text = format!(
                            "{} {} is not proved to be in the cold tier: {reason}",
                            table(data_type),
                            day.name
                        );
                        (now.saturating_sub(due), text)
                    });
                }
            }
        }
        let (count, first) = unproven;
        metrics.unverified_partitions.set(count);
        metrics.unverified_age_seconds.set(first.as_ref().map_or(0.0, |(age, _)| age.as_secs_f64()));
        metrics.held_partitions.set(held);
        Ok(first.map(|(_, text)| text))
    }

    async fn bounds(&self, data_type: DataType) -> Result<Vec<Bound>, Report> {
        let stream = topology::stream_of(data_type);
        let epochs = self.hot.epochs(stream).await?;
        let state = self.bus.stream_state(stream).await?;
        let newest = epochs.last().map(|epoch| epoch.number);
        let mut bounds = Vec::with_capacity(epochs.len());
        for epoch in &epochs {
            let is_newest = newest == Some(epoch.number);
            bounds.push(Bound {
                epoch: epoch.number,
                watermark: self.cold.watermark(data_type, epoch.number).await?,
                // A stream that came back shorter is still the stream of the epoch before.
                deliverable: (epoch.stream_created_us == state.created_us).then_some(state.first_sequence),
                newest: if is_newest {
                    self.hot.highest_sequence(data_type, epoch.number).await?
                } else {
                    None
                },
            });
        }
        Ok(bounds)
    }

    async fn day(
        &self,
        data_type: DataType,
        day: &Day,
        bounds: &[Bound],
        metrics: &ReleaseMetrics,
    ) -> Result<Fate, Report> {
        let parts = self.hot.parts_of(data_type, day).await?;
        if let Some(fate) = stays(&parts, bounds) {
            return Ok(fate);
        }
        let log = self.cold.releases(data_type, Some(day)).await?;
        let released = in_effect(&log).into_iter().map(|release| &release.rows);
        let mut epochs: Vec<u32> = parts.iter().chain(released).map(|rows| rows.range.stream_epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        let mut both = Vec::with_capacity(epochs.len());
        for epoch in epochs {
            let watermark =
                bounds.iter().find(|bound| bound.epoch == epoch).map_or(0, |bound| bound.watermark);
            let range = Range { data_type, stream_epoch: epoch, from_seq: 0, to_seq: watermark };
            let cold = self.cold.summary_of_day(&range, day).await?;
            both.push(Both { epoch, hot: Sum::of(&parts, epoch), cold });
        }
        match compare(&both, &log) {
            Proof::Equal => {}
            Proof::NotCarriedOut(rows) => self.cold.enter_release(day, &rows, true).await?,
            Proof::Differs { epoch, released } => {
                let of_epoch = both.iter().find(|one| one.epoch == epoch);
                let (hot, cold) = of_epoch.map_or_else(
                    || (Sum::default(), Summary { rows: 0, sequences: 0, checksum: 0 }),
                    |one| (one.hot, one.cold),
                );
                return Ok(Fate::Unproven(Unproven::Differs { epoch, hot, released, cold }));
            }
        }
        self.drop_parts(data_type, day, &parts, metrics).await
    }

    async fn drop_parts(
        &self,
        data_type: DataType,
        day: &Day,
        parts: &[PartRows],
        metrics: &ReleaseMetrics,
    ) -> Result<Fate, Report> {
        let mut released = 0;
        for part in parts.chunk_by(|one, next| one.part == next.part) {
            let Some(PartRows { part: name, .. }) = part.first() else { continue };
            self.lease.confirm().await?;
            self.cold.enter_release(day, part, false).await?;
            if !self.hot.drop_part(data_type, name).await? {
                self.cold.enter_release(day, part, true).await?;
                return Ok(Fate::Held("its parts were merged meanwhile"));
            }
            let rows: u64 = part.iter().map(|one| one.rows).sum();
            released += rows;
            metrics.released_rows_total.increment(rows);
            metrics.released_parts_total.increment(1);
        }
        tracing::info!(
            table = table(data_type),
            day = day.name,
            rows = released,
            "released from the hot tier"
        );
        Ok(Fate::Released)
    }
}

/// Why a day stays, before its rows are compared.
fn stays(parts: &[PartRows], bounds: &[Bound]) -> Option<Fate> {
    let bound_of = |part: &PartRows| bounds.iter().find(|bound| bound.epoch == part.range.stream_epoch);
    let meets = |sequence: Option<u64>, part: &PartRows| sequence.is_some_and(|one| part.range.to_seq >= one);
    let any =
        |of: fn(&Bound) -> Option<u64>| parts.iter().any(|part| meets(bound_of(part).and_then(of), part));
    if any(|bound| bound.newest) {
        return Some(Fate::Held("it holds the newest row of its table"));
    }
    if any(|bound| bound.deliverable) {
        return Some(Fate::Held("the stream still holds messages of it"));
    }
    let not_copied = parts.iter().find_map(|part| {
        let PartRows { range: Range { stream_epoch, to_seq, .. }, .. } = *part;
        let watermark = bound_of(part).map_or(0, |bound| bound.watermark);
        (to_seq > watermark).then_some(Unproven::NotCopied { epoch: stream_epoch, to_seq, watermark })
    });
    not_copied.map(Fate::Unproven)
}
