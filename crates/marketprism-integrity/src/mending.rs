//! One row that is wrong, as it is everywhere, and what can be done about it.

use marketprism_bus::{Lease, StoredMessage};
use marketprism_core::{DataType, topology};
use marketprism_store::fingerprint::{Fingerprint, content};
use marketprism_store::range::Range;
use marketprism_store::{Entry, Store};

use crate::finding::{Row, Side, Trouble};
use crate::repair::{Outcome, PERSON, Work};
use crate::stream::read;
use crate::{IntegrityError, Pipeline, tiers};

/// One row as it is everywhere.
pub(crate) struct Mending<'a> {
    pipeline: &'a Pipeline,
    lease: &'a Lease,
    range: Range,
    /// Its message, where the stream of its epoch still has it.
    message: Option<StoredMessage>,
    hot: Vec<Fingerprint>,
    cold: Vec<Fingerprint>,
    dry_run: bool,
}

impl<'a> Mending<'a> {
    pub(crate) async fn new(work: Work<'a>, row: Row) -> Result<Self, IntegrityError> {
        let Work { pipeline, lease, dry_run } = work;
        let Row { data_type, stream_epoch, stream_seq } = row;
        let range = Range { data_type, stream_epoch, from_seq: stream_seq, to_seq: stream_seq };
        // Someone may be writing it this moment.
        for tier in [&pipeline.hot, &pipeline.cold] {
            tier.settled(data_type).await?;
        }
        Ok(Self {
            pipeline,
            lease,
            range,
            message: message(pipeline, data_type, stream_epoch, stream_seq).await?,
            hot: pipeline.hot.fingerprints(&range).await?,
            cold: pipeline.cold.fingerprints(&range).await?,
            dry_run,
        })
    }

    /// Puts it right, if that can be proved.
    pub(crate) async fn mend(&self, trouble: &Trouble) -> Result<Outcome, IntegrityError> {
        let Pipeline { hot, cold, .. } = self.pipeline;
        match trouble {
            Trouble::Missing { side: Side::Hot } => self.fill_hot().await,
            Trouble::Missing { .. } => self.fill_cold().await,
            Trouble::Duplicated { side: Side::Hot, .. } => self.keep_one(hot, &self.hot, &self.cold).await,
            Trouble::Duplicated { .. } => self.keep_one(cold, &self.cold, &self.hot).await,
            Trouble::Different { .. } => self.replace().await,
            Trouble::Unexplained
            | Trouble::Ledger { .. }
            | Trouble::Lost { .. }
            | Trouble::Repeated { .. }
            | Trouble::Hole { .. } => Ok(Outcome::Left(PERSON)),
        }
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
                    self.copy(&self.pipeline.cold, &self.pipeline.hot).await?;
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

    /// From one tier to the other.
    async fn copy(&self, from: &Store, to: &Store) -> Result<(), IntegrityError> {
        to.copy_missing(from, &self.range, || self.still_ours()).await.map(drop)
    }

    /// Unless another repair has begun meanwhile.
    async fn still_ours(&self) -> Result<(), IntegrityError> {
        Ok(self.lease.confirm().await?)
    }

    async fn fill_cold(&self) -> Result<Outcome, IntegrityError> {
        match self.hot.as_slice() {
            [_] => {
                if !self.dry_run {
                    self.copy(&self.pipeline.hot, &self.pipeline.cold).await?;
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
            tier.copy_row(from, &self.range, right.row, || self.still_ours()).await?;
            tier.delete_rows(&self.range, &[wrong.row]).await?;
        }
        Ok(Outcome::Mended(format!("replaced in {} by the row of {}", tier.database(), from.database())))
    }

    /// Stores the message in the hot tier as hot-storage does.
    async fn insert(&self) -> Result<(), IntegrityError> {
        let Some(message) = self.message.as_ref().and_then(read).filter(|_| !self.dry_run) else {
            return Ok(());
        };
        let Range { data_type, stream_epoch, from_seq: stream_seq, .. } = self.range;
        self.pipeline.hot.admit(data_type).await?;
        self.still_ours().await?;
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
pub(crate) async fn is_live(
    pipeline: &Pipeline,
    data_type: DataType,
    stream_epoch: u32,
) -> Result<bool, IntegrityError> {
    let stream = topology::stream_of(data_type);
    let newest = pipeline.hot.epochs(stream).await?.pop();
    let state = pipeline.bus.stream_state(stream).await?;
    Ok(newest.is_some_and(|one| one.number == stream_epoch && one.stream_created_us == state.created_us))
}
