//! Which messages of a stream are stored: the one mechanism for every doubt.

use std::collections::HashSet;
use std::time::Duration;

use marketprism_core::{DataType, Message};
use tokio::time::{Instant, sleep};

use crate::client::Store;
use crate::error::StoreError;
use crate::insert::Entry;
use crate::table::table;

/// Sequences in one question: 5,000 of at most 20 digits stay below the server's `max_query_size` of 256 KiB.
const CANDIDATES_MAX: usize = 5_000;
/// How often a running insert is looked for.
const SETTLE_POLL: Duration = Duration::from_millis(50);

/// A stored row's place, and what tells its message from another one that was given the same sequence: exchange, market
/// type, symbol, event time, receive time, and the trade's id where it is a trade.
type Stored = (u32, u64, String, String, String, i64, i64, String);

impl Store {
    /// Which of `entries`, all of one data type and epoch, are stored. In their epoch the sequence says so. A stream that
    /// came back from a copy delivers old messages again in a new epoch: they are stored, too, when a row of an earlier
    /// epoch has their sequence and is the same message.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn stored_sequences(&self, entries: &[Entry<'_>]) -> Result<HashSet<u64>, StoreError> {
        let mut stored = HashSet::with_capacity(entries.len());
        for some in entries.chunks(CANDIDATES_MAX) {
            let Some(first) = some.first() else { continue };
            let rows = self.rows_of(first.message.data_type(), first.stream_epoch, some).await?;
            let by_identity: HashSet<_> = rows.iter().map(|row| (row.1, identity_of_row(row))).collect();
            let in_epoch = rows
                .iter()
                .filter(|row| row.0 == first.stream_epoch)
                .map(|row| row.1)
                .collect::<HashSet<_>>();
            let is_stored = |entry: &&Entry<'_>| {
                let sequence = entry.stream_seq;
                in_epoch.contains(&sequence) || by_identity.contains(&(sequence, identity(entry.message)))
            };
            stored.extend(some.iter().filter(is_stored).map(|entry| entry.stream_seq));
        }
        Ok(stored)
    }

    /// Whether the row with this epoch and sequence is this very message.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn is_stored(&self, entry: &Entry<'_>) -> Result<bool, StoreError> {
        let rows = self.rows_of(entry.message.data_type(), entry.stream_epoch, &[*entry]).await?;
        Ok(rows
            .iter()
            .any(|row| row.0 == entry.stream_epoch && identity_of_row(row) == identity(entry.message)))
    }

    /// The rows with the sequences of `entries`, of every epoch up to `stream_epoch`.
    async fn rows_of(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        entries: &[Entry<'_>],
    ) -> Result<Vec<Stored>, StoreError> {
        let table = table(data_type);
        let sequences = || entries.iter().map(|entry| entry.stream_seq);
        let (Some(first), Some(last)) = (sequences().min(), sequences().max()) else { return Ok(Vec::new()) };
        let list = sequences().map(|sequence| sequence.to_string()).collect::<Vec<_>>().join(",");
        let trade_id = if data_type == DataType::Trade { "trade_id" } else { "''" };
        // The bounds let the server skip parts by the index on stream_seq.
        let question = format!(
            "SELECT DISTINCT stream_epoch, stream_seq, toString(exchange), toString(market_type), \
             toString(symbol), toUnixTimestamp64Micro(timestamp), toUnixTimestamp64Micro(ts_recv), \
             toString({trade_id}) FROM `{table}` WHERE stream_epoch <= {stream_epoch} \
             AND stream_seq BETWEEN {first} AND {last} AND stream_seq IN ({list})"
        );
        let found = self.client.query_raw(&question).fetch_all::<Stored>();
        self.ask(&format!("read stored sequences of {table}"), found).await
    }

    /// The highest sequence stored of an epoch, `None` when nothing is.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn highest_sequence(
        &self,
        data_type: DataType,
        stream_epoch: u32,
    ) -> Result<Option<u64>, StoreError> {
        self.highest_after(data_type, Some(stream_epoch), 0).await
    }

    /// The highest sequence stored, of one epoch or of all, if it is above `after`; else `None`. The nearer `after` is, the less
    /// the server reads: its index on the sequence passes over the parts of before.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn highest_after(
        &self,
        data_type: DataType,
        stream_epoch: Option<u32>,
        after: u64,
    ) -> Result<Option<u64>, StoreError> {
        let table = table(data_type);
        let epoch = stream_epoch.map_or(String::new(), |epoch| format!(" AND stream_epoch = {epoch}"));
        let question =
            format!("SELECT maxOrNull(stream_seq) FROM `{table}` WHERE stream_seq > {after}{epoch}");
        let found = self.client.query_raw(&question).fetch_one::<Option<u64>>();
        self.ask(&format!("read the highest sequence of {table}"), found).await
    }

    /// The highest sequence stored, of one epoch or of all, `None` when nothing is. It is looked for above `near` first: the whole
    /// of a long history is not read where something is there.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn highest_near(
        &self,
        data_type: DataType,
        stream_epoch: Option<u32>,
        near: u64,
    ) -> Result<Option<u64>, StoreError> {
        match self.highest_after(data_type, stream_epoch, near).await? {
            None if near > 0 => self.highest_after(data_type, stream_epoch, 0).await,
            found => Ok(found),
        }
    }

    /// Waits until no insert into the table runs on the server, and none of ours can arrive any more: one whose connection
    /// broke may still be stored, and asking what is stored before it ends would be asking too early.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer, or one still runs after the insert timeout.
    pub async fn settled(&self, data_type: DataType) -> Result<(), StoreError> {
        self.clear(data_type).await;
        let table = table(data_type);
        let operation = format!("wait for running inserts into {table}");
        let question = format!(
            "SELECT count() FROM {} WHERE current_database = '{}' AND match(query, '^INSERT INTO `?{table}`?[ (]')",
            self.config.placement().everywhere("system.processes"),
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

type Identity<'a> = (&'a str, &'a str, &'a str, i64, i64, &'a str);

fn identity<'a>(message: &'a Message<'_>) -> Identity<'a> {
    let common = message.common();
    let trade_id = if let Message::Trade(trade) = message { trade.trade_id.as_ref() } else { "" };
    let (event, received) = (common.ts_event_us.as_micros(), common.ts_recv_us.as_micros());
    (common.exchange, common.market_type.as_str(), common.symbol, event, received, trade_id)
}

fn identity_of_row(row: &Stored) -> Identity<'_> {
    let (_, _, exchange, market_type, symbol, event, received, trade_id) = row;
    (exchange, market_type, symbol, *event, *received, trade_id)
}
