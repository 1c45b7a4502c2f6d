//! Which ids a stream already holds: asked after an outage that outlasted the duplicate window. Reads only.

use std::collections::{BTreeMap, HashSet};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::GetStreamByNameErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;

use crate::connect::Bus;
use crate::error::BusError;

/// The ids of a subject's messages stored behind the last confirmed one of its stream. `overlap` sequences before that
/// are read too: around a lost connection a confirmation may overtake another by at most a window. A stream of which
/// nothing was ever confirmed to us is read from its beginning.
pub(super) async fn stored_ids(
    bus: &Bus,
    subject: &str,
    confirmed: &BTreeMap<String, u64>,
    overlap: usize,
) -> Result<HashSet<String>, BusError> {
    let mut ids = HashSet::new();
    let failed = || format!("look for unconfirmed messages of {subject}");
    let stream = match bus.jetstream.stream_by_subject(subject).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => return Ok(ids),
        Err(error) => return Err(BusError::request(failed(), error)),
    };
    let Some(handle) = bus.stream_handle(&stream).await? else { return Ok(ids) };
    let overlap = u64::try_from(overlap).unwrap_or(u64::MAX);
    let mut next = confirmed.get(&stream).map_or(1, |highest| highest.saturating_sub(overlap).max(1));
    loop {
        match handle.raw_message_builder().sequence(next).next_by_subject(subject).send().await {
            Ok(message) => {
                next = message.sequence + 1;
                ids.extend(message.headers.get(NATS_MESSAGE_ID).map(|id| id.as_str().to_owned()));
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(ids),
            Err(error) => return Err(BusError::request(failed(), error)),
        }
    }
}
