//! Order books in `snapshot` mode: what REST answers is published as it is, without a local book. It shows one moment,
//! so it has no sequence to verify; what can be checked is that it is a book.

use std::borrow::Cow;

use marketprism_core::message::OrderBook;
use marketprism_core::{SnapshotOf, Source, TimeSource, Timestamp};

use crate::context::Context;
use crate::decode::Levels;
use crate::session::{Note, Rejected};

/// A snapshot as REST told it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot<'l> {
    /// Best first.
    pub(crate) levels: &'l Levels,
    pub(crate) last_update_id: u64,
    /// `None` where the exchange tells no time.
    pub(crate) event: Option<Timestamp>,
}

/// Publishes a snapshot unless it is the one published last.
///
/// # Errors
/// When it is empty, crossed or out of order: then it is not published.
pub(crate) fn publish(
    snapshot: Snapshot<'_>,
    depth: u32,
    published: &mut Option<u64>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    let Snapshot { levels, last_update_id, event } = snapshot;
    if *published == Some(last_update_id) {
        context.out.note(Note::Ignored { what: "snapshot_unchanged" });
        return Ok(());
    }
    if levels.bids.is_empty() || levels.asks.is_empty() {
        let (bids, asks) = (levels.bids.len(), levels.asks.len());
        return Err(Rejected::new("invalid_field", format_args!("a book of {bids} bids and {asks} asks")));
    }
    let bids = levels.bids.get(..depth as usize).unwrap_or(&levels.bids);
    let asks = levels.asks.get(..depth as usize).unwrap_or(&levels.asks);
    let mut book = OrderBook::new(
        context.origin(Source::Rest),
        event.unwrap_or(context.now),
        Cow::Borrowed(bids),
        Cow::Borrowed(asks),
        last_update_id,
        None,
        1,
        SnapshotOf::Top,
        depth,
    );
    book.ts_event_source = event.is_none().then_some(TimeSource::Recv);
    context.emit(book.into())?;
    *published = Some(last_update_id);
    Ok(())
}
