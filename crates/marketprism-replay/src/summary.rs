//! What a replay did, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use marketprism_core::{DataType, Timestamp};
use serde::Serialize;

/// What a replay did, in numbers.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Frames that went through the state machines.
    pub frames: u64,
    /// Receive time of the first and the last record.
    pub time: Option<(Timestamp, Timestamp)>,
    /// Messages by data type.
    pub messages: BTreeMap<DataType, u64>,
    /// Updates applied to valid books.
    pub book_updates: u64,
    /// Books that became valid.
    pub synced: u64,
    /// Books that were thrown away.
    pub resyncs: u64,
    /// Events seen again and dropped.
    pub duplicates: u64,
    /// Frames that carry nothing to store, by what they are.
    pub ignored: BTreeMap<String, u64>,
    /// Frames and answers that could not be used, by reason, …
    pub rejected: BTreeMap<String, u64>,
    /// … with the first of each reason.
    pub rejected_first: BTreeMap<String, String>,
    /// Sockets that a session wanted replaced, by reason.
    pub reconnects: BTreeMap<String, u64>,
    /// REST requests of the sessions that the recording does not answer.
    pub unanswered: u64,
    /// Records that the recorder lost.
    pub dropped: u64,
    /// Lines of captures that say nothing that happened.
    pub remarks: u64,
    /// Lines of captures that are none of the format's, …
    pub malformed: u64,
    /// … and where the first of them is.
    pub malformed_first: Option<String>,
    /// Where files were cut off.
    pub cuts: Vec<String>,
}

impl Summary {
    /// Messages of one type.
    #[must_use]
    pub fn count(&self, data_type: DataType) -> u64 {
        self.messages.get(&data_type).copied().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &mut dyn Iterator<Item = (String, u64)>| -> String {
            let counts: Vec<_> = counts.map(|(name, count)| format!("{name} {count}")).collect();
            if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
        };
        let named = |counts: &BTreeMap<String, u64>| {
            list(&mut counts.iter().map(|(name, count)| (name.clone(), *count)))
        };
        write!(f, "frames: {}", self.frames)?;
        if let Some((first, last)) = self.time {
            write!(f, " from {first} to {last}")?;
        }
        let messages =
            list(&mut self.messages.iter().map(|(data_type, count)| (data_type.to_string(), *count)));
        writeln!(f, "\nmessages: {messages}")?;
        writeln!(
            f,
            "books: {} updates, {} synchronised, {} resynchronised; duplicates: {}",
            self.book_updates, self.synced, self.resyncs, self.duplicates
        )?;
        writeln!(f, "ignored: {}", named(&self.ignored))?;
        writeln!(f, "rejected: {}", named(&self.rejected))?;
        for (reason, first) in &self.rejected_first {
            writeln!(f, "  first {reason}: {first}")?;
        }
        if !self.reconnects.is_empty() {
            writeln!(f, "reconnects wanted: {}", named(&self.reconnects))?;
        }
        if self.unanswered > 0 {
            writeln!(f, "REST requests without a recorded answer: {}", self.unanswered)?;
        }
        if self.dropped > 0 {
            writeln!(f, "records the recorder lost: {}", self.dropped)?;
        }
        if self.malformed > 0 {
            let first = self.malformed_first.as_deref().unwrap_or_default();
            writeln!(f, "lines that are none of the format's: {}, the first {first}", self.malformed)?;
        }
        for cut in &self.cuts {
            writeln!(f, "{cut}")?;
        }
        Ok(())
    }
}
