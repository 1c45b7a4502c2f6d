//! Whether a stream brings what it should, judged by its own cadence: connected, live and stale are three things.
//!
//! The cadence is learned: what comes ten times a second is missed after a minute, what comes once in ten minutes is not. A
//! stream that was never heard (it does not exist, or is not served on this path: both are acknowledged like any
//! other) is missed after half a minute, then twice as long each time.

use marketprism_core::{DataType, GapReason, Instrument, Timestamp};

use crate::context::{Context, Missing, SECOND};
use crate::session::{StreamState, StreamStatus};

/// Silence after subscribing before a stream that was never heard is asked for again; then twice as long each time.
const PATIENCE_MICROS_MIN: i64 = 30 * SECOND;
/// A stream is stale after so many times its mean pause. Trades come in bursts; fifty means are no burst's pause.
const PAUSES_MAX: i64 = 50;
/// No stream is stale before this …
const STALE_MICROS_MIN: i64 = 60 * SECOND;
/// … and each is after this: quiet symbols exist, and asking again costs one name in a frame.
const STALE_MICROS_MAX: i64 = 3600 * SECOND;
/// The mean follows the last so many pauses.
const PAUSES_REMEMBERED: i64 = 128;
/// What a process that was killed had received and not published: its queue holds less than this when the broker is there.
const UNPUBLISHED_MICROS_MAX: i64 = 5 * SECOND;

/// What to do about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// Ask for it again.
    Resubscribe,
    /// It was asked for again and stays silent: another socket may help.
    Replace,
}

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// Since when it is asked for, on the socket that is open longest; `None` while none is.
    asked: Option<Timestamp>,
    received: Option<Timestamp>,
    event: Option<Timestamp>,
    events: u64,
    /// Whether anything came since it was asked for.
    is_heard: bool,
    mean_pause_micros: Option<i64>,
    patience_micros: i64,
    /// Resubscribed since it was heard last.
    is_asked_again: bool,
    /// Since when no socket brings it; `None` while one does.
    unheard_since: Option<Timestamp>,
}

impl Liveness {
    /// Continues after what was published last before this process started.
    pub(crate) fn after(published: Option<Timestamp>) -> Self {
        let unheard_since = published.map(|last| last.saturating_add_micros(-UNPUBLISHED_MICROS_MAX));
        Self { unheard_since, ..Self::default() }
    }

    /// The stream is asked for on a socket, when none was open before.
    pub(crate) fn opened(&mut self, now: Timestamp) {
        self.asked = Some(now);
        self.is_heard = false;
        self.is_asked_again = false;
        self.patience_micros = PATIENCE_MICROS_MIN;
    }

    /// The last socket is gone; `heard` is when anything came on it last.
    pub(crate) fn closed(&mut self, heard: Timestamp) {
        self.asked = None;
        self.unheard_since.get_or_insert(heard);
    }

    /// Whether the time without a socket is still to be declared.
    pub(crate) const fn is_unheard(&self) -> bool {
        self.unheard_since.is_some()
    }

    /// A socket has it again: declares the time when none had, of what is only ever pushed. Trades and books know better
    /// what they miss, by their sequences.
    pub(crate) fn subscribed(&mut self, data_type: DataType, context: &mut Context<'_>) {
        let Some(since) = self.unheard_since.take() else { return };
        let is_only_pushed = match data_type {
            DataType::FundingRate
            | DataType::OpenInterest
            | DataType::Liquidation
            | DataType::VolatilityIndex => true,
            DataType::Trade
            | DataType::OrderBook
            | DataType::LsrTopPosition
            | DataType::LsrAllAccount
            | DataType::Gap => false,
        };
        if is_only_pushed {
            let missing = Missing {
                ids: None,
                times: Some((since, context.now)),
                reason: GapReason::Disconnect,
                filled: 0,
                detail: Some("pushed while no socket was subscribed"),
            };
            context.gap(data_type, missing);
        }
    }

    /// Something came, of this time by the exchange's clock where it has one.
    pub(crate) fn received(&mut self, now: Timestamp, event: Option<Timestamp>) {
        if let Some(last) = self.received.filter(|_| self.is_heard) {
            let pause = now.micros_since(last).max(0);
            let mean = self.mean_pause_micros.get_or_insert(pause);
            *mean += (pause - *mean) / PAUSES_REMEMBERED;
        }
        self.received = Some(now);
        self.event = event.or(self.event);
        self.events += 1;
        self.is_heard = true;
        self.is_asked_again = false;
    }

    /// The stream as the collector shows it.
    pub(crate) fn status(
        &self,
        instrument: &Instrument,
        data_type: DataType,
        now: Timestamp,
    ) -> StreamStatus {
        StreamStatus {
            market_type: instrument.market_type,
            symbol: instrument.symbol.clone(),
            data_type,
            state: self.state(now),
            last_received: self.received,
            last_event: self.event,
            events: self.events,
        }
    }

    /// Whether anything came since it was asked for.
    pub(crate) const fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// Silence after which the stream is stale.
    fn stale_micros(&self) -> i64 {
        match self.mean_pause_micros {
            Some(mean) if self.is_heard => {
                mean.saturating_mul(PAUSES_MAX).clamp(STALE_MICROS_MIN, STALE_MICROS_MAX)
            }
            // Heard once: no cadence yet.
            _ if self.is_heard => STALE_MICROS_MAX,
            _ => self.patience_micros,
        }
    }

    /// How the stream is doing; a book knows besides whether it is valid.
    pub(crate) fn state(&self, now: Timestamp) -> StreamState {
        match (self.asked, self.received) {
            (None, _) => StreamState::Disconnected,
            (Some(asked), _) if !self.is_heard => {
                let is_patient = now.micros_since(asked) < PATIENCE_MICROS_MIN;
                if is_patient { StreamState::Waiting } else { StreamState::Stale }
            }
            (Some(_), Some(last)) if now.micros_since(last) >= self.stale_micros() => StreamState::Stale,
            (Some(_), _) => StreamState::Live,
        }
    }

    /// What to do now; anything but `Fine` once each time.
    pub(crate) fn judge(&mut self, now: Timestamp) -> Verdict {
        let Some(asked) = self.asked else { return Verdict::Fine };
        let since = self.received.filter(|_| self.is_heard).map_or(asked, |last| last.max(asked));
        if now.micros_since(since) < self.stale_micros() {
            return Verdict::Fine;
        }
        // Its time runs anew, and longer where nothing ever came.
        self.asked = Some(now);
        self.patience_micros = self.patience_micros.saturating_mul(2).min(STALE_MICROS_MAX);
        if std::mem::replace(&mut self.is_asked_again, true) {
            Verdict::Replace
        } else {
            Verdict::Resubscribe
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000 * SECOND + seconds * SECOND).unwrap()
    }

    #[test]
    fn a_stream_is_judged_by_its_own_cadence() {
        let mut busy = Liveness::default();
        let mut quiet = Liveness::default();
        for stream in [&mut busy, &mut quiet] {
            assert_eq!(stream.state(at(0)), StreamState::Disconnected);
            stream.opened(at(0));
            assert_eq!(stream.state(at(0)), StreamState::Waiting);
        }
        for second in 0..600 {
            busy.received(at(second), None);
            if second % 60 == 0 {
                quiet.received(at(second), None);
            }
        }
        assert_eq!((busy.state(at(658)), busy.judge(at(658))), (StreamState::Live, Verdict::Fine));
        assert_eq!((busy.state(at(660)), busy.judge(at(660))), (StreamState::Stale, Verdict::Resubscribe));
        assert_eq!(busy.judge(at(661)), Verdict::Fine, "said once");
        assert_eq!(busy.judge(at(721)), Verdict::Replace);
        assert_eq!((quiet.state(at(660)), quiet.judge(at(660))), (StreamState::Live, Verdict::Fine));
        assert_eq!(quiet.state(at(540 + 3000)), StreamState::Stale);
        busy.received(at(722), None);
        assert_eq!(busy.state(at(723)), StreamState::Live);
    }

    #[test]
    fn a_stream_never_heard_is_asked_for_again_ever_more_rarely() {
        let mut stream = Liveness::default();
        stream.opened(at(0));
        let said: Vec<_> = (1..1000).filter(|second| stream.judge(at(*second)) != Verdict::Fine).collect();
        assert_eq!(said, [30, 90, 210, 450, 930]);
    }
}
