//! What was given up, stream by stream, until a `gap` declares it. Why it was is the business of who gives it up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use marketprism_core::message::{Gap, Origin};
use marketprism_core::{DataType, GapReason, Instrument, MarketType, Message, Source, Subject, Timestamp};

use crate::sequence;

/// Messages that will not be stored. Bounded by the streams they are of.
#[derive(Debug, Default)]
pub(crate) struct Missed(BTreeMap<StreamKey, MissedStream>);

/// What connections that had to end could not hand over; the publisher declares it. Clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abandoned(Arc<Mutex<Missed>>);

impl Abandoned {
    /// Adds and takes.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Missed) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream: what a gap is declared for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct StreamKey {
    exchange: String,
    data_type: DataType,
    market_type: MarketType,
    symbol: String,
}

/// What is missing of one stream.
#[derive(Debug)]
pub(crate) struct MissedStream {
    instrument: Instrument,
    data_type: DataType,
    messages: u64,
    /// First and last missing id.
    ids: Option<(u64, u64)>,
    first_event: Timestamp,
    last_event: Timestamp,
}

impl Missed {
    /// Adds a message. What a gap stands for is declared later, by the gap that takes its place.
    pub(crate) fn add(&mut self, message: &Message<'_>) {
        let common = message.common();
        let event = common.ts_event_us;
        let (data_type, messages, ids, (from, to)) = if let Message::Gap(gap) = message {
            let ids = gap.from_sequence.zip(gap.to_sequence);
            let times = (gap.from_time_us.unwrap_or(event), gap.to_time_us.unwrap_or(event));
            (gap.missing_data_type, 0, ids, times)
        } else {
            (message.data_type(), 1, sequence::of(message), (event, event))
        };
        let key = StreamKey {
            exchange: common.exchange.to_owned(),
            data_type,
            market_type: common.market_type,
            symbol: common.symbol.to_owned(),
        };
        let missed = self.0.entry(key).or_insert_with(|| MissedStream {
            instrument: Instrument {
                exchange: common.exchange.to_owned(),
                market_type: common.market_type,
                symbol: common.symbol.to_owned(),
                instrument_id: common.instrument_id.to_owned(),
                contract: None,
            },
            data_type,
            messages: 0,
            ids: None,
            first_event: from,
            last_event: to,
        });
        missed.messages += messages;
        missed.first_event = missed.first_event.min(from);
        missed.last_event = missed.last_event.max(to);
        if let Some((from, to)) = ids {
            let (first, last) = missed.ids.unwrap_or((from, to));
            missed.ids = Some((first.min(from), last.max(to)));
        }
    }

    /// Adds a message that is encoded already.
    pub(crate) fn add_encoded(&mut self, subject: &str, payload: &[u8]) {
        let Ok(subject) = Subject::parse(subject) else { return };
        // Our own words a moment ago.
        if let Ok(message) = Message::decode(&subject, payload) {
            self.add(&message);
        }
    }

    /// What is to be declared; afterwards there is nothing.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = MissedStream> + use<> {
        std::mem::take(&mut self.0).into_values()
    }
}

impl MissedStream {
    /// The message that declares it; `now` is when that is said.
    pub(crate) fn gap(&self, why: &str, now: Timestamp) -> Gap<'_> {
        Gap::new(
            Origin { instrument: &self.instrument, received: now, source: Source::Ws },
            now,
            self.data_type,
            self.ids.map(|(from, _)| from),
            self.ids.map(|(_, to)| to),
            Some(self.first_event),
            Some(self.last_event),
            GapReason::Shed,
            0,
            Some(format!("{} messages {why}", self.messages).into()),
        )
    }
}
