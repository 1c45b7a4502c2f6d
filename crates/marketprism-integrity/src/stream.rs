//! Stream ↔ hot tier: every message that is due is exactly the row it must be, or a dead letter, and every row is of a message.

use std::collections::{BTreeMap, HashSet};

use marketprism_bus::{Selection, Start, StoredMessage};
use marketprism_core::{Message, Subject, subject, topology};
use marketprism_store::Entry;
use marketprism_store::fingerprint::{Fingerprint, content};
use marketprism_store::range::Range;

use crate::finding::{Side, Trouble};
use crate::verify::Told;
use crate::{IntegrityError, Pipeline};

/// Messages compared at a time; enough that a question for each chunk costs little.
const CHUNK_MESSAGES_MAX: usize = 5_000;
/// Their bytes: books are larger.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Compares the messages of a range with the hot tier. `watermark` is what the ledger proves: rows below it need no message.
pub(crate) async fn check(
    pipeline: &Pipeline,
    range: &Range,
    watermark: u64,
    told: &mut Told<'_>,
) -> Result<(), IntegrityError> {
    let bus = &pipeline.bus;
    let stream = topology::stream_of(range.data_type);
    let state = bus.stream_state(stream).await?;
    let mut next = range.from_seq.max(state.first_sequence);
    if next > range.to_seq {
        return Ok(());
    }
    let dead = bus.dead_sequences(stream, state.created_us).await?;
    let subjects = vec![subject::filter(range.data_type)];
    let mut reader =
        bus.read(stream, Selection { subjects, from: Start::Sequence(next), headers_only: false }).await?;
    let mut is_more = true;
    while is_more {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while is_more && messages.len() < CHUNK_MESSAGES_MAX && bytes < CHUNK_BYTES_MAX {
            match reader.next().await?.filter(|message| message.sequence <= range.to_seq) {
                Some(message) => {
                    bytes += message.payload.len();
                    messages.push(message);
                }
                None => is_more = false,
            }
        }
        let last = messages.last().filter(|_| is_more).map_or(range.to_seq, |message| message.sequence);
        let chunk = Chunk {
            pipeline,
            range: Range { from_seq: next, to_seq: last, ..*range },
            messages: &messages,
            dead: &dead,
            // What the stream dropped since it was asked for is nobody's mistake.
            explained_below: bus.stream_state(stream).await?.first_sequence.max(watermark.saturating_add(1)),
        };
        let mut troubles = chunk.troubles().await?;
        if !troubles.is_empty() {
            // Whoever is writing may just have put it right.
            pipeline.hot.settled(range.data_type).await?;
            troubles = chunk.troubles().await?;
        }
        for (sequence, trouble) in troubles {
            told.row(&chunk.range, sequence, trouble);
        }
        told.progressed(&chunk.range);
        next = last.saturating_add(1);
    }
    Ok(())
}

struct Chunk<'a> {
    pipeline: &'a Pipeline,
    range: Range,
    messages: &'a [StoredMessage],
    dead: &'a HashSet<u64>,
    explained_below: u64,
}

impl Chunk<'_> {
    async fn troubles(&self) -> Result<Vec<(u64, Trouble)>, IntegrityError> {
        let found = self.pipeline.hot.fingerprints(&self.range).await?;
        let mut rows = by_sequence(&found);
        let (mut troubles, mut missing) = (Vec::new(), Vec::new());
        for message in self.messages {
            let sequence = message.sequence;
            let read = read(message);
            let expected = || read.as_ref().map(|read| content(read, self.range.stream_epoch, sequence));
            match rows.remove(&sequence).unwrap_or_default() {
                [] if self.dead.contains(&sequence) => {}
                [] => missing.push((sequence, read)),
                // One that this release cannot read any more was stored by one that could.
                [row] if expected().is_none_or(|expected| expected == row.content) => {}
                [_] => troubles.push((sequence, Trouble::Different { one: Side::Stream, other: Side::Hot })),
                several => {
                    let copies = several.len() as u64;
                    troubles.push((sequence, Trouble::Duplicated { side: Side::Hot, copies }));
                }
            }
        }
        // What a stream that came back shorter delivers again is stored in the epoch before.
        let stream_epoch = self.range.stream_epoch;
        let entries: Vec<_> = missing
            .iter()
            .filter_map(|(stream_seq, read)| Some((*stream_seq, read.as_ref()?)))
            .map(|(stream_seq, message)| Entry { message, stream_epoch, stream_seq })
            .collect();
        let stored = self.pipeline.hot.stored_sequences(&entries).await?;
        let missing = missing.iter().map(|(sequence, _)| *sequence).filter(|one| !stored.contains(one));
        troubles.extend(missing.map(|one| (one, Trouble::Missing { side: Side::Hot })));
        let strays = rows.into_keys().filter(|sequence| *sequence >= self.explained_below);
        troubles.extend(strays.map(|sequence| (sequence, Trouble::Unexplained)));
        troubles.sort_by_key(|(sequence, _)| *sequence);
        Ok(troubles)
    }
}

/// Reads a message as hot-storage does.
pub(crate) fn read(message: &StoredMessage) -> Option<Message<'_>> {
    let subject = Subject::parse(&message.subject).ok()?;
    Message::decode(&subject, &message.payload).ok()
}

/// The rows of each sequence.
pub(crate) fn by_sequence(rows: &[Fingerprint]) -> BTreeMap<u64, &[Fingerprint]> {
    let same = rows.chunk_by(|one, next| one.stream_seq == next.stream_seq);
    same.filter_map(|rows| Some((rows.first()?.stream_seq, rows))).collect()
}
