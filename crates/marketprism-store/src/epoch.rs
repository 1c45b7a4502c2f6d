//! Incarnations of a stream. A sequence names a message only within one of them: a stream that was deleted and made
//! again, or came back shorter from a backup, gives old sequences to new messages.

use clickhouse::Row;
use marketprism_core::{DataType, topology};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::now_micros;

/// One incarnation of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// `stream_epoch` of its rows, from 1.
    pub number: u32,
    /// When the broker says the stream was created, µs since 1970.
    pub stream_created_us: i64,
    /// Last sequence of the stream when the epoch began.
    pub last_sequence: u64,
}

/// Why an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was known of the stream.
    First,
    /// The broker tells another creation time.
    Recreated,
    /// The stream ends before what is stored of it.
    Shorter,
    /// The stream came back shorter and has grown since: it has another message where the last one stored was.
    Replaced,
}

impl Reason {
    /// As in column `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Recreated => "recreated",
            Self::Shorter => "shorter",
            Self::Replaced => "replaced",
        }
    }
}

/// Whether a stream, as the broker shows it now, is a new incarnation. `highest_stored` is the highest sequence stored
/// in the epoch `known`, and must be read before the broker is asked: rows stored in between would look like a stream
/// that came back shorter. [`Reason::Replaced`] shows only in the messages themselves.
#[must_use]
pub fn begins(
    known: Option<&Epoch>,
    stream_created_us: i64,
    last_sequence: u64,
    highest_stored: Option<u64>,
) -> Option<Reason> {
    match known {
        None => Some(Reason::First),
        Some(known) if known.stream_created_us != stream_created_us => Some(Reason::Recreated),
        Some(_) if highest_stored.is_some_and(|highest| last_sequence < highest) => Some(Reason::Shorter),
        Some(_) => None,
    }
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct EpochRow {
    stream: String,
    epoch: u32,
    stream_created_at: i64,
    last_sequence: u64,
    reason: String,
    first_seen_at: i64,
}

impl Store {
    /// The epochs of a stream in the hot tier, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn epochs(&self, stream: &str) -> Result<Vec<Epoch>, StoreError> {
        let found = self
            .client
            .query("SELECT ?fields FROM stream_epochs WHERE stream = ? ORDER BY epoch, first_seen_at LIMIT 1 BY epoch")
            .bind(stream)
            .fetch_all::<EpochRow>();
        let rows = self.ask("read stream_epochs", found).await?;
        Ok(rows
            .into_iter()
            .map(|row| Epoch {
                number: row.epoch,
                stream_created_us: row.stream_created_at,
                last_sequence: row.last_sequence,
            })
            .collect())
    }

    /// The newest epoch of a stream, and the highest sequence stored in it, over every table the stream feeds. `near` as in
    /// [`Store::highest_near`].
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn newest_epoch(
        &self,
        stream: &str,
        near: u64,
    ) -> Result<Option<(Epoch, Option<u64>)>, StoreError> {
        let Some(epoch) = self.epochs(stream).await?.pop() else { return Ok(None) };
        let mut highest = None;
        for data_type in DataType::ALL.iter().filter(|one| topology::stream_of(**one) == stream) {
            highest = highest.max(self.highest_near(*data_type, Some(epoch.number), near).await?);
        }
        Ok(Some((epoch, highest)))
    }

    /// Enters an epoch, before anything is written in it.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it.
    pub async fn enter_epoch(&self, stream: &str, epoch: &Epoch, reason: Reason) -> Result<(), StoreError> {
        let row = EpochRow {
            stream: stream.to_owned(),
            epoch: epoch.number,
            stream_created_at: epoch.stream_created_us,
            last_sequence: epoch.last_sequence,
            reason: reason.as_str().to_owned(),
            first_seen_at: now_micros(),
        };
        self.insert_one("stream_epochs", &row).await
    }

    /// Inserts one row of a table of ours that holds no messages.
    pub(crate) async fn insert_one<R>(&self, table: &str, row: &R) -> Result<(), StoreError>
    where
        R: clickhouse::RowOwned + clickhouse::RowWrite,
    {
        let written = async {
            let mut insert = self.inserter.insert::<R>(table).await?;
            insert.write(row).await?;
            insert.end().await
        };
        self.within(self.config.insert_timeout, &format!("insert into {table}"), written).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_begins_only_where_sequences_could_repeat() {
        let known = Epoch { number: 1, stream_created_us: 7, last_sequence: 0 };
        assert_eq!(begins(None, 7, 0, None), Some(Reason::First));
        assert_eq!(begins(Some(&known), 7, 100, Some(100)), None);
        assert_eq!(begins(Some(&known), 7, 0, None), None, "nothing stored, nothing to repeat");
        assert_eq!(begins(Some(&known), 7, 99, Some(100)), Some(Reason::Shorter));
        assert_eq!(begins(Some(&known), 8, 200, Some(100)), Some(Reason::Recreated));
    }
}
