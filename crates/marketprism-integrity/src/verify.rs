//! The whole comparison, table by table, epoch by epoch. Reads only.

use std::collections::HashSet;

use marketprism_core::{DataType, Timestamp, topology};
use marketprism_store::keys::Rows;
use marketprism_store::losses::{Loss, Missing};
use marketprism_store::range::Range;
use marketprism_store::release::in_effect;

use crate::finding::{Finding, Place, Row, Side, Trouble};
use crate::frontier::frontiers;
use crate::scope::Scope;
use crate::{IntegrityError, Pipeline, stream, tiers};

/// Findings of one table and epoch that are remembered, so that what two comparisons find is told once.
const SEEN_MAX: usize = 100_000;

/// Who hears of it.
pub trait Listener {
    /// Something is wrong.
    fn found(&mut self, finding: &Finding);
    /// A range was compared.
    fn progressed(&mut self, range: &Range);
    /// Something was wrong, and is put right; `how` says what was done, or with a dry run would be.
    fn repaired(&mut self, _finding: &Finding, _how: &str) {}
    /// Something is wrong, and `why` it stays so.
    fn left(&mut self, _finding: &Finding, _why: &str) {}
}

/// What was told already.
pub(crate) struct Told<'a> {
    listener: &'a mut dyn Listener,
    seen: HashSet<Finding>,
    count: u64,
}

impl Told<'_> {
    pub(crate) fn to(listener: &mut dyn Listener) -> Told<'_> {
        Told { listener, seen: HashSet::new(), count: 0 }
    }

    /// How much was told.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn tell(&mut self, finding: Finding) {
        if self.seen.contains(&finding) {
            return;
        }
        self.count += 1;
        self.listener.found(&finding);
        if self.seen.len() < SEEN_MAX {
            self.seen.insert(finding);
        }
    }

    pub(crate) fn row(&mut self, range: &Range, stream_seq: u64, trouble: Trouble) {
        let Range { data_type, stream_epoch, .. } = *range;
        self.tell(Finding { place: Place::Row(Row { data_type, stream_epoch, stream_seq }), trouble });
    }

    pub(crate) fn progressed(&mut self, range: &Range) {
        self.listener.progressed(range);
    }
}

/// Compares everything in the scope that is due, tells the listener, and returns how much is wrong.
///
/// # Errors
/// When the broker or a tier does not answer.
pub async fn verify(
    pipeline: &Pipeline,
    scope: &Scope,
    listener: &mut dyn Listener,
) -> Result<u64, IntegrityError> {
    let mut told = Told::to(listener);
    for data_type in scope.data_types.iter().copied() {
        let ranges = due(pipeline, scope, data_type).await?;
        for due in &ranges {
            let Range { stream_epoch, .. } = due.range;
            let watermark = pipeline.cold.watermark(data_type, stream_epoch).await?;
            if due.is_live {
                stream::check(pipeline, &due.range, watermark, &mut told).await?;
            }
            let copied = Range { to_seq: due.range.to_seq.min(watermark), ..due.range };
            tiers::check(pipeline, &copied, &mut told).await?;
            told.seen.clear();
        }
        let rows: Vec<Rows> = match scope.times() {
            Some((from, to)) => vec![Rows::Time(data_type, from, to)],
            None => ranges.into_iter().map(|due| Rows::Range(due.range)).collect(),
        };
        for finding in by_keys(pipeline, data_type, &rows).await? {
            told.tell(finding);
        }
        told.seen.clear();
    }
    lost(pipeline, scope, &mut told).await?;
    Ok(told.count())
}

/// What the streams of the scope dropped before it was stored, whichever table it was for.
async fn lost(pipeline: &Pipeline, scope: &Scope, told: &mut Told<'_>) -> Result<(), IntegrityError> {
    for data_type in scope.data_types.iter().copied() {
        let stream = topology::stream_of(data_type);
        for Loss { stream_epoch, missing, reason } in pipeline.hot.losses(stream).await? {
            let (from, to) = scope.sequences(pipeline, data_type, stream_epoch).await?;
            let Missing { from_seq, to_seq, messages } = missing;
            let is_asked_for = scope.epoch.is_none_or(|epoch| epoch == stream_epoch);
            if is_asked_for && from_seq <= to && to_seq >= from {
                told.tell(Finding {
                    place: Place::Stream { stream, stream_epoch, from_seq, to_seq },
                    trouble: Trouble::Lost { messages, reason },
                });
            }
        }
    }
    Ok(())
}

/// A range to compare.
struct Due {
    range: Range,
    /// Whether the stream of this epoch is still there.
    is_live: bool,
}

async fn due(pipeline: &Pipeline, scope: &Scope, data_type: DataType) -> Result<Vec<Due>, IntegrityError> {
    let epochs = pipeline.hot.epochs(topology::stream_of(data_type)).await?;
    let newest = epochs.last().map(|epoch| epoch.number);
    let mut ranges = Vec::new();
    for frontier in frontiers(&pipeline.bus, &pipeline.hot, &pipeline.cold, data_type).await? {
        let stream_epoch = frontier.epoch;
        if scope.epoch.is_some_and(|epoch| epoch != stream_epoch) {
            continue;
        }
        let (from_seq, to_seq) = scope.sequences(pipeline, data_type, stream_epoch).await?;
        let is_live = newest == Some(stream_epoch);
        let range = Range { data_type, stream_epoch, from_seq, to_seq: to_seq.min(frontier.upper) };
        if range.from_seq <= range.to_seq {
            ranges.push(Due { range, is_live });
        }
    }
    Ok(ranges)
}

/// What the exchange's own ids say of the hot tier, and of what it let go of.
async fn by_keys(
    pipeline: &Pipeline,
    data_type: DataType,
    rows: &[Rows],
) -> Result<Vec<Finding>, IntegrityError> {
    let Pipeline { hot, cold, .. } = pipeline;
    let log = cold.releases(data_type, None).await?;
    // Behind these days the cold tier may still lack what fills a hole.
    let released_days = in_effect(&log).iter().map(|release| i64::from(release.day) + 1).max();
    let cold_until_us = released_days.unwrap_or_default().saturating_mul(Timestamp::DAY_MICROS);
    let tiers = [(Side::Hot, hot), (Side::Cold, cold)];
    let mut findings: Vec<Finding> = Vec::new();
    for (side, tier) in tiers.into_iter().filter(|(side, _)| *side == Side::Hot || released_days.is_some()) {
        for rows in rows {
            let market =
                |exchange, market_type, symbol| Place::Market { data_type, exchange, market_type, symbol };
            let repeated = tier.repeated(rows).await?.into_iter().map(|one| Finding {
                place: market(one.exchange, one.market_type, one.symbol),
                trouble: Trouble::Repeated { side, key: one.key, rows: one.rows },
            });
            findings.extend(repeated);
            if data_type != DataType::Trade {
                continue;
            }
            let mut known = Vec::new();
            for hole in tier.trade_id_holes(rows, &[hot, cold]).await? {
                let is_known = match side {
                    // What came late for a released day went after it, and left a hole among its neighbours.
                    Side::Hot => released_days.is_none() || !cold.fills(&hole).await?,
                    Side::Stream | Side::Cold => hole.to_us < cold_until_us,
                };
                if is_known {
                    known.push(hole);
                }
            }
            findings.extend(known.into_iter().map(|hole| Finding {
                place: market(hole.exchange, hole.market_type, hole.symbol),
                trouble: Trouble::Hole {
                    side,
                    from_id: hole.from_id,
                    to_id: hole.to_id,
                    from_us: hole.from_us,
                    to_us: hole.to_us,
                },
            }));
        }
    }
    Ok(findings)
}
