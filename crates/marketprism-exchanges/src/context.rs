//! What a state machine of one instrument needs to act: the instrument, the time, and where its effects go.

use std::borrow::Cow;

use marketprism_core::message::{Gap, Origin};
use marketprism_core::{DataType, GapReason, Instrument, Message, Source, Timestamp};

use crate::session::{Effects, Rejected};

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// One instrument at one moment.
pub(crate) struct Context<'c> {
    pub(crate) instrument: &'c Instrument,
    pub(crate) now: Timestamp,
    pub(crate) out: &'c mut dyn Effects,
}

/// What is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing<'m> {
    /// First and last missing id.
    pub(crate) ids: Option<(u64, u64)>,
    /// Time of what came before and of what came after.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    pub(crate) reason: GapReason,
    /// How many were recovered.
    pub(crate) filled: u64,
    /// For people.
    pub(crate) detail: Option<&'m str>,
}

impl<'c> Context<'c> {
    /// The common fields of a message that came now.
    pub(crate) const fn origin(&self, source: Source) -> Origin<'c> {
        Origin { instrument: self.instrument, received: self.now, source }
    }

    /// Publishes a message, or says which field of it is wrong.
    pub(crate) fn emit(&mut self, message: Message<'_>) -> Result<(), Rejected> {
        message.validate()?;
        self.out.emit(message);
        Ok(())
    }

    /// Declares what is missing.
    pub(crate) fn gap(&mut self, data_type: DataType, missing: Missing<'_>) {
        // An exchange's clock may step back between two events; the interval is then what covers both.
        let times = missing.times.map(|(one, other)| (one.min(other), one.max(other)));
        self.out.emit(
            Gap::new(
                self.origin(Source::Ws),
                self.now,
                data_type,
                missing.ids.map(|(from, _)| from),
                missing.ids.map(|(_, to)| to),
                times.map(|(from, _)| from),
                times.map(|(_, to)| to),
                missing.reason,
                missing.filled,
                missing.detail.map(Cow::Borrowed),
            )
            .into(),
        );
    }
}
