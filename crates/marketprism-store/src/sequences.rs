//! Which messages of a stream are stored: the one mechanism for every doubt.

use std::collections::HashSet;
use std::time::Duration;

use marketprism_core::DataType;
use tokio::time::{Instant, sleep};

use crate::client::Store;
use crate::error::StoreError;
use crate::table::table;

/// Sequences in one question: 5,000 of at most 20 digits stay below the server's `max_query_size` of 256 KiB.
const CANDIDATES_MAX: usize = 5_000;
/// How often a running insert is looked for.
const SETTLE_POLL: Duration = Duration::from_millis(50);

impl Store {
    /// Which of `candidates` are stored.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn stored_sequences(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        candidates: &[u64],
    ) -> Result<HashSet<u64>, StoreError> {
        let table = table(data_type);
        let mut stored = HashSet::with_capacity(candidates.len());
        for some in candidates.chunks(CANDIDATES_MAX) {
            let (Some(first), Some(last)) = (some.iter().min(), some.iter().max()) else { continue };
            let list = some.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            // The bounds let the server skip parts by the index on stream_seq.
            let question = format!(
                "SELECT DISTINCT stream_seq FROM `{table}` WHERE stream_epoch = {stream_epoch} \
                 AND stream_seq BETWEEN {first} AND {last} AND stream_seq IN ({list})"
            );
            let found = self.client.query_raw(&question).fetch_all::<u64>();
            stored.extend(self.ask(&format!("read stored sequences of {table}"), found).await?);
        }
        Ok(stored)
    }

    /// The highest sequence stored, `None` for an empty table.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn highest_sequence(
        &self,
        data_type: DataType,
        stream_epoch: u32,
    ) -> Result<Option<u64>, StoreError> {
        let table = table(data_type);
        let question =
            format!("SELECT maxOrNull(stream_seq) FROM `{table}` WHERE stream_epoch = {stream_epoch}");
        let found = self.client.query_raw(&question).fetch_one::<Option<u64>>();
        self.ask(&format!("read the highest sequence of {table}"), found).await
    }

    /// Waits until no insert into the table runs on the server: one whose connection broke may still be stored, and
    /// asking what is stored before it ends would be asking too early.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer, or one still runs after the insert timeout.
    pub async fn settled(&self, data_type: DataType) -> Result<(), StoreError> {
        let table = table(data_type);
        let operation = format!("wait for running inserts into {table}");
        let question = format!(
            "SELECT count() FROM system.processes WHERE current_database = '{}' \
             AND match(query, '^INSERT INTO `?{table}`?[ (]')",
            self.config.database
        );
        let deadline = Instant::now() + self.config.insert_timeout;
        loop {
            let running = self.client.query_raw(&question).fetch_one::<u64>();
            if self.ask(&operation, running).await? == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.failed(&operation, clickhouse::error::Error::TimedOut));
            }
            sleep(SETTLE_POLL).await;
        }
    }
}
