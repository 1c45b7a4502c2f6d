//! Messages that the broker dropped before they were stored: which sequences are in no table, and the record of it.

use std::collections::HashSet;

use clickhouse::Row;
use marketprism_core::{DataType, topology};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::insert::now_micros;
use crate::table::table;

/// Sequences with a dead letter that one question can hold, see `CANDIDATES_MAX` of `sequences.rs`. A range with more of
/// them is told with too many missing rather than too few.
const DEAD_MAX: usize = 5_000;
/// What was lost longer before the last row was written has been recorded by then.
const LATELY_SECONDS: u32 = 3_600;

/// Sequences of a stream that are in no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub from_seq: u64,
    /// The last.
    pub to_seq: u64,
    /// How many: between them others may be stored.
    pub messages: u64,
}

/// A record of messages that the stream dropped before they were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Incarnation of the stream.
    pub stream_epoch: u32,
    /// What is in no table.
    pub missing: Missing,
    /// Which limit of the stream it was.
    pub reason: String,
}

#[derive(Debug, Row, Serialize, Deserialize)]
struct LossRow {
    stream: String,
    epoch: u32,
    from_seq: u64,
    to_seq: u64,
    messages: u64,
    detected_at: i64,
    reason: String,
}

impl Store {
    /// What is missing of a stream's sequences `from_seq..=to_seq`, those in `dead` left out.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn missing(
        &self,
        stream: &str,
        epoch: &Epoch,
        from_seq: u64,
        to_seq: u64,
        dead: &HashSet<u64>,
    ) -> Result<Option<Missing>, StoreError> {
        let Epoch { number, last_sequence, .. } = epoch;
        // What a stream that came back delivers again is stored in an earlier epoch.
        let known = format!(
            "stream_seq BETWEEN {from_seq} AND {to_seq} AND (stream_epoch = {number} OR (stream_epoch < {number} AND \
             stream_seq <= {last_sequence}))"
        );
        let stored =
            tables(stream).map(|table| format!("SELECT stream_seq AS seq FROM `{table}` WHERE {known}"));
        let dead = dead.iter().filter(|sequence| (from_seq..=to_seq).contains(*sequence)).take(DEAD_MAX);
        let dead = dead.map(u64::to_string).collect::<Vec<_>>().join(",");
        let dead = format!("SELECT arrayJoin(CAST([{dead}], 'Array(UInt64)')) AS seq");
        let seen = stored.chain([dead]).collect::<Vec<_>>().join(" UNION ALL ");
        let question = format!(
            "SELECT toUInt64(sum(seq - before - 1)), toUInt64(min(before + 1)), toUInt64(max(seq - 1)) FROM (\
             SELECT seq, lagInFrame(seq, 1, toUInt64({from_seq} - 1)) OVER (ORDER BY seq \
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before FROM (SELECT DISTINCT seq FROM ({seen}) \
             UNION ALL SELECT toUInt64({to_seq} + 1) AS seq)) WHERE seq > before + 1"
        );
        let found = self.client.query_raw(&question).fetch_one::<(u64, u64, u64)>();
        let (messages, from_seq, to_seq) =
            self.ask(&format!("look for missing messages of {stream}"), found).await?;
        Ok((messages > 0).then_some(Missing { from_seq, to_seq, messages }))
    }

    /// Up to where a stream's sequences need not be looked at: the last loss that is recorded, or the rows of the last
    /// hour of work, or where the epoch began.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn searched_up_to(&self, stream: &str, epoch: &Epoch) -> Result<u64, StoreError> {
        let number = epoch.number;
        let rows = tables(stream)
            .map(|table| {
                format!("SELECT stream_seq, created_at FROM `{table}` WHERE stream_epoch = {number}")
            })
            .collect::<Vec<_>>()
            .join(" UNION ALL ");
        let question = format!(
            "SELECT minOrNull(stream_seq) FROM ({rows}) WHERE created_at >= \
             (SELECT max(created_at) FROM ({rows})) - {LATELY_SECONDS}"
        );
        let operation = format!("read the last rows of {stream}");
        let lately = self.client.query_raw(&question).fetch_one::<Option<u64>>();
        let lately = self.ask(&operation, lately).await?.map(|sequence| sequence.saturating_sub(1));
        // Nobody read the first epoch before us; of a later one what the stream brought along is not asked for.
        let began = if number == 1 { 0 } else { epoch.last_sequence };
        Ok(self.last_loss(stream, epoch).await?.max(lately.unwrap_or(began)))
    }

    /// The last sequence recorded as lost in an epoch; 0 for none.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn last_loss(&self, stream: &str, epoch: &Epoch) -> Result<u64, StoreError> {
        let found = self
            .client
            .query("SELECT max(to_seq) FROM stream_losses WHERE stream = ? AND epoch = ?")
            .bind(stream)
            .bind(epoch.number)
            .fetch_one::<u64>();
        self.ask("read stream_losses", found).await
    }

    /// What is recorded as lost of a stream, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn losses(&self, stream: &str) -> Result<Vec<Loss>, StoreError> {
        let found = self
            .client
            .query("SELECT ?fields FROM stream_losses WHERE stream = ? ORDER BY epoch, from_seq, to_seq")
            .bind(stream)
            .fetch_all::<LossRow>();
        let rows = self.ask("read stream_losses", found).await?;
        let loss = |LossRow { epoch, from_seq, to_seq, messages, reason, .. }: LossRow| Loss {
            stream_epoch: epoch,
            missing: Missing { from_seq, to_seq, messages },
            reason,
        };
        Ok(rows.into_iter().map(loss).collect())
    }

    /// Records a loss.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not confirm it.
    pub async fn enter_loss(
        &self,
        stream: &str,
        epoch: &Epoch,
        missing: &Missing,
        reason: &str,
    ) -> Result<(), StoreError> {
        let row = LossRow {
            stream: stream.to_owned(),
            epoch: epoch.number,
            from_seq: missing.from_seq,
            to_seq: missing.to_seq,
            messages: missing.messages,
            detected_at: now_micros(),
            reason: reason.to_owned(),
        };
        self.insert_one("stream_losses", &row).await
    }
}

/// The tables that a stream feeds.
fn tables(stream: &str) -> impl Iterator<Item = &'static str> {
    DataType::ALL.iter().filter(move |one| topology::stream_of(**one) == stream).map(|one| table(*one))
}
