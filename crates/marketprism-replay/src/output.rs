//! Where messages go, and the counting of everything else a session asks for.

use std::io;

use marketprism_core::{Message, Timestamp};
use marketprism_exchanges::{Effects, Link, Lost, Note, Rejected, Request};

use crate::summary::Summary;

/// Takes the messages of a replay, in the order they would have been published.
pub trait Messages {
    /// One message.
    ///
    /// # Errors
    /// When it cannot be taken; the replay ends then.
    fn take(&mut self, message: &Message<'_>) -> io::Result<()>;
}

/// Writes messages as they are on the wire, one a line.
#[derive(Debug)]
pub struct JsonLines<W> {
    output: W,
    line: Vec<u8>,
}

impl<W: io::Write> JsonLines<W> {
    /// Writes to `output`, which should be buffered.
    pub const fn new(output: W) -> Self {
        Self { output, line: Vec::new() }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: io::Write> Messages for JsonLines<W> {
    fn take(&mut self, message: &Message<'_>) -> io::Result<()> {
        self.line.clear();
        message.encode(&mut self.line)?;
        self.line.push(b'\n');
        self.output.write_all(&self.line)
    }
}

/// What the sessions' effects become.
pub(crate) struct Output<'m> {
    pub(crate) messages: &'m mut dyn Messages,
    pub(crate) summary: Summary,
    /// Messages before this time are not given out.
    pub(crate) from: Option<Timestamp>,
    /// The time of what is being played.
    pub(crate) now: Timestamp,
    /// Requests made since they were last looked at.
    pub(crate) requests: Vec<Request>,
    /// The first error of writing; nothing is written after it.
    pub(crate) error: Option<io::Error>,
}

impl<'m> Output<'m> {
    pub(crate) fn new(messages: &'m mut dyn Messages, from: Option<Timestamp>) -> Self {
        Self {
            messages,
            summary: Summary::default(),
            from,
            now: Timestamp::default(),
            requests: Vec::new(),
            error: None,
        }
    }

    /// Counts what could not be used.
    pub(crate) fn reject(&mut self, outcome: Result<(), Rejected>) {
        if let Err(Rejected { reason, detail }) = outcome {
            *self.summary.rejected.entry(reason.to_owned()).or_default() += 1;
            self.summary.rejected_first.entry(reason.to_owned()).or_insert(detail);
        }
    }
}

impl Effects for Output<'_> {
    fn emit(&mut self, message: Message<'_>) {
        if self.error.is_some() || self.from.is_some_and(|from| self.now < from) {
            return;
        }
        // As the collector: a name that no subject can carry is not published.
        if let Err(error) = message.subject() {
            self.reject(Err(Rejected { reason: "invalid_field", detail: error.to_string() }));
            return;
        }
        *self.summary.messages.entry(message.data_type()).or_default() += 1;
        self.error = self.messages.take(&message).err();
    }

    fn send(&mut self, _: Link, _: String) {}

    fn fetch(&mut self, request: Request) {
        self.requests.push(request);
    }

    fn reconnect(&mut self, _: Link, reason: Lost) {
        let reason = match reason {
            Lost::Silence => "silence",
            Lost::Stale(_) => "stale",
            Lost::Announced => "announced",
            Lost::Refused(_) => "refused",
        };
        *self.summary.reconnects.entry(reason.to_owned()).or_default() += 1;
    }

    fn note(&mut self, note: Note<'_>) {
        match note {
            Note::Resync { .. } => self.summary.resyncs += 1,
            Note::Synced { .. } => self.summary.synced += 1,
            Note::BookUpdated { .. } => self.summary.book_updates += 1,
            Note::Duplicate { .. } => self.summary.duplicates += 1,
            Note::Ignored { what } => *self.summary.ignored.entry(what.to_owned()).or_default() += 1,
            Note::Backfilled { .. } | Note::Subscribed { .. } => {}
        }
    }
}
