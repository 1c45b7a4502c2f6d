//! Puts right what can be proved, from whichever side still has it, and says what it did. The rest is left for a person.
//!
//! The stream proves every column of a row but `created_at`; the ledger proves a range of the cold tier with all columns. A row
//! that is replaced is there twice for a moment, never not at all, so that a run that is killed leaves something the next one
//! mends. Only rows that are due are touched, which hot-storage and cold-storage are done with; run one repair at a time.

use marketprism_bus::StoredMessage;
use marketprism_core::{DataType, topology};
use marketprism_store::fingerprint::{Fingerprint, content};
use marketprism_store::range::Range;
use marketprism_store::{Entry, Store};

use crate::finding::{Finding, Place, Row, Side, Trouble};
use crate::scope::Scope;
use crate::stream::read;
use crate::verify::{Listener, Told, verify};
use crate::{IntegrityError, Pipeline, stream, tiers};

/// Findings mended in one pass: they are in memory together, a hundred bytes each.
const FINDINGS_MAX: usize = 10_000;
/// A pass mends what the one before made visible: a row that both tiers lacked is found missing in the second one. More than
/// this is two sides that never agree.
const PASSES_MAX: usize = 100;

/// What a repair came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Findings that were put right, or with a dry run would be.
    pub repaired: u64,
    /// Findings that are left.
    pub left: u64,
}

/// What became of one finding.
enum Outcome {
    Mended(String),
    Left(&'static str),
}

const PERSON: &str = "a person must decide: neither the stream nor the ledger proves which side is right";

/// Compares everything in the scope, mends what can be proved, and compares again until nothing more can be mended.
///
/// # Errors
/// When the broker or a tier does not answer; what was done until then stays done, and running it again is safe.
pub async fn repair(
    pipeline: &Pipeline,
    scope: &Scope,
    dry_run: bool,
    listener: &mut dyn Listener,
) -> Result<Repaired, IntegrityError> {
    let mut total = Repaired::default();
    for pass in 1.. {
        let mut pass_found = Collected { listener, findings: Vec::new() };
        let found = verify(pipeline, scope, &mut pass_found).await?;
        let findings = std::mem::take(&mut pass_found.findings);
        let is_last = dry_run || pass >= PASSES_MAX;
        let (mut mended, mut left) = (0, Vec::new());
        for finding in findings {
            match mend(pipeline, &finding, dry_run).await? {
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

async fn mend(pipeline: &Pipeline, finding: &Finding, dry_run: bool) -> Result<Outcome, IntegrityError> {
    let row = match finding.place {
        Place::Row(row) => row,
        Place::Range { data_type, stream_epoch, from_seq, to_seq } => {
            return enter_anew(pipeline, Range { data_type, stream_epoch, from_seq, to_seq }, dry_run).await;
        }
        Place::Market { .. } => {
            return Ok(Outcome::Left("what was never received, or sent twice, stays as it is"));
        }
    };
    let mending = Mending::new(pipeline, row, dry_run).await?;
    match finding.trouble {
        Trouble::Missing { side: Side::Hot } => mending.fill_hot().await,
        Trouble::Missing { .. } => mending.fill_cold().await,
        Trouble::Duplicated { side: Side::Hot, .. } => {
            mending.keep_one(&pipeline.hot, &mending.hot, &mending.cold).await
        }
        Trouble::Duplicated { .. } => mending.keep_one(&pipeline.cold, &mending.cold, &mending.hot).await,
        Trouble::Different { .. } => mending.replace().await,
        Trouble::Unexplained | Trouble::Ledger { .. } | Trouble::Repeated { .. } | Trouble::Hole { .. } => {
            Ok(Outcome::Left(PERSON))
        }
    }
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

/// One row as it is everywhere.
struct Mending<'a> {
    pipeline: &'a Pipeline,
    range: Range,
    /// Its message, where the stream of its epoch still has it.
    message: Option<StoredMessage>,
    hot: Vec<Fingerprint>,
    cold: Vec<Fingerprint>,
    dry_run: bool,
}

impl<'a> Mending<'a> {
    async fn new(pipeline: &'a Pipeline, row: Row, dry_run: bool) -> Result<Self, IntegrityError> {
        let Row { data_type, stream_epoch, stream_seq } = row;
        let range = Range { data_type, stream_epoch, from_seq: stream_seq, to_seq: stream_seq };
        // Someone may be writing it this moment.
        for tier in [&pipeline.hot, &pipeline.cold] {
            tier.settled(data_type).await?;
        }
        Ok(Self {
            pipeline,
            range,
            message: message(pipeline, data_type, stream_epoch, stream_seq).await?,
            hot: pipeline.hot.fingerprints(&range).await?,
            cold: pipeline.cold.fingerprints(&range).await?,
            dry_run,
        })
    }

    /// What its row must be, in every column but `created_at`.
    fn proved(&self) -> Option<u64> {
        let message = read(self.message.as_ref()?)?;
        Some(content(&message, self.range.stream_epoch, self.range.from_seq))
    }

    async fn fill_hot(&self) -> Result<Outcome, IntegrityError> {
        let proved = self.proved();
        // The cold tier's row is the original one, with the time at which it was written.
        match self.cold.as_slice() {
            [cold] if proved.is_none_or(|proved| proved == cold.content) => {
                if !self.dry_run {
                    self.pipeline.hot.copy_missing(&self.pipeline.cold, &self.range).await?;
                }
                Ok(Outcome::Mended("copied from the cold tier".to_owned()))
            }
            _ if proved.is_some() => {
                self.insert().await?;
                Ok(Outcome::Mended("stored from the stream".to_owned()))
            }
            _ => Ok(Outcome::Left("neither the stream nor the other tier has it")),
        }
    }

    async fn fill_cold(&self) -> Result<Outcome, IntegrityError> {
        match self.hot.as_slice() {
            [_] => {
                if !self.dry_run {
                    self.pipeline.cold.copy_missing(&self.pipeline.hot, &self.range).await?;
                }
                Ok(Outcome::Mended("copied from the hot tier".to_owned()))
            }
            [] => Ok(Outcome::Left("the hot tier does not have it")),
            _ => Ok(Outcome::Left("the hot tier has it more than once, which comes first")),
        }
    }

    /// Of several rows the one that is proved, or any where they say the same.
    async fn keep_one(
        &self,
        tier: &Store,
        rows: &[Fingerprint],
        others: &[Fingerprint],
    ) -> Result<Outcome, IntegrityError> {
        let proved = self.proved();
        let is_right = |row: &&Fingerprint| proved.is_none_or(|proved| proved == row.content);
        let all_the_same =
            rows.iter().all(|row| rows.first().is_some_and(|first| first.content == row.content));
        let in_both =
            rows.iter().filter(is_right).find(|row| others.iter().any(|other| other.row == row.row));
        let by_stream = rows.iter().find(|row| proved == Some(row.content));
        let keep = match (in_both, by_stream) {
            // The other tier's row says which of equal ones is the original; of unequal ones only the stream does.
            (Some(row), _) if all_the_same || proved.is_some() => row,
            (_, Some(row)) => row,
            _ if all_the_same && proved.is_none() => match rows.first() {
                Some(row) => row,
                None => return Ok(Outcome::Left("it is gone by now")),
            },
            _ => return Ok(Outcome::Left(PERSON)),
        };
        let mut wrong: Vec<u64> = rows.iter().map(|row| row.row).filter(|row| *row != keep.row).collect();
        wrong.dedup();
        let equal = rows.iter().filter(|row| row.row == keep.row).count();
        if !self.dry_run {
            tier.delete_rows(&self.range, &wrong).await?;
            if equal > 1 {
                tier.keep_one(&self.range, keep.row).await?;
            }
        }
        Ok(Outcome::Mended(format!("{} of {} rows removed", rows.len() - 1, rows.len())))
    }

    /// A row that is not what the other side says.
    async fn replace(&self) -> Result<Outcome, IntegrityError> {
        let Pipeline { hot, cold, .. } = self.pipeline;
        let [in_hot] = self.hot.as_slice() else {
            return Ok(Outcome::Left("the hot tier does not have it once, which comes first"));
        };
        let proved = self.proved();
        let is_right = |row: &Fingerprint| proved.is_some_and(|proved| proved == row.content);
        match self.cold.as_slice() {
            [in_cold] if is_right(in_hot) && !is_right(in_cold) => {
                self.take(cold, in_cold, hot, in_hot).await
            }
            [in_cold] if is_right(in_cold) && !is_right(in_hot) => {
                self.take(hot, in_hot, cold, in_cold).await
            }
            [in_cold] if in_cold.row != in_hot.row && proved.is_none_or(|_| is_right(in_hot)) => {
                self.replace_by_ledger(in_hot, in_cold).await
            }
            _ if proved.is_some() && !is_right(in_hot) => {
                self.insert().await?;
                if !self.dry_run {
                    hot.delete_rows(&self.range, &[in_hot.row]).await?;
                }
                Ok(Outcome::Mended("replaced in the hot tier from the stream".to_owned()))
            }
            _ => Ok(Outcome::Left(PERSON)),
        }
    }

    /// The stream does not tell the two apart; the checksum of the range does where one side still has it.
    async fn replace_by_ledger(
        &self,
        in_hot: &Fingerprint,
        in_cold: &Fingerprint,
    ) -> Result<Outcome, IntegrityError> {
        let Pipeline { hot, cold, .. } = self.pipeline;
        let Some((range, entered)) = tiers::ledger(self.pipeline, &self.range).await?.pop() else {
            return Ok(Outcome::Left(PERSON));
        };
        if cold.summary(&range).await? == entered {
            self.take(hot, in_hot, cold, in_cold).await
        } else if hot.summary(&range).await? == entered {
            self.take(cold, in_cold, hot, in_hot).await
        } else {
            Ok(Outcome::Left(PERSON))
        }
    }

    /// Replaces the wrong row of one tier by the right one of the other.
    async fn take(
        &self,
        tier: &Store,
        wrong: &Fingerprint,
        from: &Store,
        right: &Fingerprint,
    ) -> Result<Outcome, IntegrityError> {
        if !self.dry_run {
            tier.copy_row(from, &self.range, right.row).await?;
            tier.delete_rows(&self.range, &[wrong.row]).await?;
        }
        Ok(Outcome::Mended(format!("replaced in {} by the row of {}", tier.database(), from.database())))
    }

    /// Stores the message in the hot tier as hot-storage does.
    async fn insert(&self) -> Result<(), IntegrityError> {
        let Some(message) = self.message.as_ref().and_then(read).filter(|_| !self.dry_run) else {
            return Ok(());
        };
        let Range { stream_epoch, from_seq: stream_seq, .. } = self.range;
        Ok(self.pipeline.hot.insert(&[Entry { message: &message, stream_epoch, stream_seq }]).await?)
    }
}

/// A message of the stream, where that is the stream of this epoch.
async fn message(
    pipeline: &Pipeline,
    data_type: DataType,
    stream_epoch: u32,
    sequence: u64,
) -> Result<Option<StoredMessage>, IntegrityError> {
    if !is_live(pipeline, data_type, stream_epoch).await? {
        return Ok(None);
    }
    Ok(pipeline.bus.message(topology::stream_of(data_type), sequence).await?)
}

/// Whether the stream of an epoch is still there.
async fn is_live(
    pipeline: &Pipeline,
    data_type: DataType,
    stream_epoch: u32,
) -> Result<bool, IntegrityError> {
    let stream = topology::stream_of(data_type);
    let newest = pipeline.hot.epochs(stream).await?.pop();
    let state = pipeline.bus.stream_state(stream).await?;
    Ok(newest.is_some_and(|one| one.number == stream_epoch && one.stream_created_us == state.created_us))
}
