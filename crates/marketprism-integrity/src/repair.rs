//! Puts right what can be proved, from whichever side still has it, and says what it did. The rest is left for a person.
//!
//! The stream proves every column of a row but `created_at`; the ledger proves a range of the cold tier with all columns. A row
//! that is replaced is there twice for a moment, never not at all, so that a run that is killed leaves something the next one
//! mends. Only rows that are due are touched, which hot-storage and cold-storage are done with, and a lease lets one repair run at a time.

use std::time::Duration;

use marketprism_bus::Lease;
use marketprism_core::topology;
use marketprism_store::Store;
use marketprism_store::range::Range;

use crate::finding::{Finding, Place};
use crate::mending::{Mending, is_live};
use crate::scope::Scope;
use crate::verify::{Listener, Told, verify};
use crate::{IntegrityError, Pipeline, stream};

/// Findings mended in one pass: they are in memory together, a hundred bytes each.
const FINDINGS_MAX: usize = 10_000;
/// A pass mends what the one before made visible: a row that both tiers lacked is found missing in the second one. More than
/// this is two sides that never agree.
const PASSES_MAX: usize = 100;
/// Two repairs at once would both copy what is missing.
const LEASE: &str = "repair";
/// How long after a repair that was killed the next one may begin: an insert of it can no longer be taken by then.
const LEASE_FREE_AFTER: Duration = Store::ADMITTED_AT_MOST.saturating_add(Duration::from_secs(2));

/// What a repair came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Findings that were put right, or with a dry run would be.
    pub repaired: u64,
    /// Findings that are left.
    pub left: u64,
}

/// What became of one finding.
pub(crate) enum Outcome {
    Mended(String),
    Left(&'static str),
}

pub(crate) const PERSON: &str =
    "a person must decide: neither the stream nor the ledger proves which side is right";

/// Compares everything in the scope, mends what can be proved, and compares again until nothing more can be mended.
///
/// # Errors
/// [`IntegrityError::RepairRuns`], or when the broker or a tier does not answer; what was done until then stays done, and
/// running it again is safe.
pub async fn repair(
    pipeline: &Pipeline,
    scope: &Scope,
    dry_run: bool,
    listener: &mut dyn Listener,
) -> Result<Repaired, IntegrityError> {
    let Some(lease) = pipeline.bus.lease(LEASE, LEASE_FREE_AFTER).await? else {
        return Err(IntegrityError::RepairRuns);
    };
    let repairing = passes(Work { pipeline, lease: &lease, dry_run }, scope, listener);
    let repaired = tokio::select! {
        repaired = repairing => repaired,
        lost = lease.keep() => Err(lost.into()),
    };
    // Not given up, it is free a little later.
    drop(lease.release().await);
    repaired
}

/// What a repair works with.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) lease: &'a Lease,
    pub(crate) dry_run: bool,
}

async fn passes(
    work: Work<'_>,
    scope: &Scope,
    listener: &mut dyn Listener,
) -> Result<Repaired, IntegrityError> {
    let Work { pipeline, dry_run, .. } = work;
    let mut total = Repaired::default();
    for pass in 1.. {
        let mut pass_found = Collected { listener, findings: Vec::new() };
        let found = verify(pipeline, scope, &mut pass_found).await?;
        let findings = std::mem::take(&mut pass_found.findings);
        let is_last = dry_run || pass >= PASSES_MAX;
        let (mut mended, mut left) = (0, Vec::new());
        for finding in findings {
            match mend(work, &finding).await? {
                Outcome::Mended(how) => {
                    mended += 1;
                    listener.repaired(&finding, &how);
                }
                Outcome::Left(why) => left.push((finding, why)),
            }
        }
        total.repaired += mended;
        if mended == 0 || is_last {
            left.iter().for_each(|(finding, why)| listener.left(finding, why));
            total.left = if dry_run { found.saturating_sub(mended) } else { found };
            break;
        }
    }
    Ok(total)
}

/// Keeps findings instead of telling them.
struct Collected<'a> {
    listener: &'a mut dyn Listener,
    findings: Vec<Finding>,
}

impl Listener for Collected<'_> {
    fn found(&mut self, finding: &Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding.clone());
        }
    }

    fn progressed(&mut self, range: &Range) {
        self.listener.progressed(range);
    }
}

async fn mend(work: Work<'_>, finding: &Finding) -> Result<Outcome, IntegrityError> {
    let Work { pipeline, dry_run, .. } = work;
    let row = match finding.place {
        Place::Row(row) => row,
        Place::Range { data_type, stream_epoch, from_seq, to_seq } => {
            return enter_anew(pipeline, Range { data_type, stream_epoch, from_seq, to_seq }, dry_run).await;
        }
        Place::Stream { .. } => return Ok(Outcome::Left("nobody has it: fetch it from the exchange")),
        Place::Market { .. } => {
            return Ok(Outcome::Left("what was never received, or sent twice, stays as it is"));
        }
    };
    Mending::new(work, row).await?.mend(&finding.trouble).await
}

/// A range that both tiers have and the stream proves, but not as the ledger says: a row of it was lost in both, and is stored
/// anew at another time.
async fn enter_anew(pipeline: &Pipeline, range: Range, dry_run: bool) -> Result<Outcome, IntegrityError> {
    let stream = topology::stream_of(range.data_type);
    let first = pipeline.bus.stream_state(stream).await?.first_sequence;
    if first > range.from_seq || !is_live(pipeline, range.data_type, range.stream_epoch).await? {
        return Ok(Outcome::Left(PERSON));
    }
    let mut nobody = Nobody;
    let mut told = Told::to(&mut nobody);
    stream::check(pipeline, &range, 0, &mut told).await?;
    let (hot, cold) = (pipeline.hot.summary(&range).await?, pipeline.cold.summary(&range).await?);
    if told.count() > 0 || hot != cold || cold.rows != cold.sequences {
        return Ok(Outcome::Left(PERSON));
    }
    if !dry_run {
        pipeline.cold.enter_range(&range, &cold).await?;
    }
    Ok(Outcome::Mended("both tiers are what the stream says; entered in the ledger anew".to_owned()))
}

/// Hears nothing.
struct Nobody;

impl Listener for Nobody {
    fn found(&mut self, _finding: &Finding) {}
    fn progressed(&mut self, _range: &Range) {}
}
