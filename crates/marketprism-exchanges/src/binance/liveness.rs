//! Whether a stream that was asked for brings anything. A stream that does not exist, or is not served on this path,
//! is acknowledged like any other and then stays silent.

use marketprism_core::Timestamp;

use super::SECOND;

/// Silence after subscribing before a stream is asked for again; then twice as long each time …
const PATIENCE_MICROS_MIN: i64 = 30 * SECOND;
/// … up to this: quiet symbols exist, and asking again costs one name in a frame.
const PATIENCE_MICROS_MAX: i64 = 3600 * SECOND;

/// One stream on the present connection.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    asked: Option<Timestamp>,
    received: Option<Timestamp>,
    patience_micros: i64,
}

impl Liveness {
    pub(super) fn opened(&mut self, now: Timestamp) {
        *self = Self { asked: Some(now), received: None, patience_micros: PATIENCE_MICROS_MIN };
    }

    pub(super) fn closed(&mut self) {
        self.asked = None;
    }

    pub(super) fn received(&mut self, now: Timestamp) {
        self.received = Some(now);
    }

    /// When something last came on the present connection, or on the one before while there is none.
    pub(super) const fn last_received(&self) -> Option<Timestamp> {
        self.received
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.asked.is_some()
    }

    /// True once each time the stream has been silent since it was asked for, for longer than is plausible.
    pub(super) fn is_overdue(&mut self, now: Timestamp) -> bool {
        let (Some(asked), None) = (self.asked, self.received) else { return false };
        if now.micros_since(asked) < self.patience_micros {
            return false;
        }
        self.asked = Some(now);
        self.patience_micros = self.patience_micros.saturating_mul(2).min(PATIENCE_MICROS_MAX);
        true
    }
}
