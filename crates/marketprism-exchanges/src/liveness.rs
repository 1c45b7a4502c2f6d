//! Whether a stream brings what it should, judged by its own cadence: connected, live and stale are three things. What was
//! missed of streams that are only ever pushed, and cannot be asked for later, is declared here.
//!
//! The cadence is learned: what comes ten times a second is missed after ten seconds, what comes once in ten minutes is not.
//! A stream that was never heard (it does not exist, or is not served on this path: both are acknowledged like any
//! other) is missed after half a minute. Who stays silent is asked again after twice the time, each time.

use marketprism_core::{DataType, GapReason, Instrument, Timestamp};

use crate::context::{Context, Missing, SECOND};
use crate::session::{StreamState, StreamStatus};

/// Silence after subscribing before a stream that was never heard is asked for again.
const PATIENCE_MICROS: i64 = 30 * SECOND;
/// A stream is stale after so many times its mean pause. Trades come in bursts, and updates of books and open interest when
/// something changed; fifty means are no burst's pause …
const PAUSES_MAX: i64 = 50;
/// … but these come by the exchange's clock: mark price every three seconds, OKX's rate every 30 to 90, an index every one.
const STEADY_PAUSES_MAX: i64 = 5;
/// No stream is stale before this: what exchanges send ten times a second was not sent a hundred times then …
const STALE_MICROS_MIN: i64 = 10 * SECOND;
/// … nor a stream of trades, or one whose cadence is not known well yet, before this …
const UNSURE_STALE_MICROS_MIN: i64 = 60 * SECOND;
/// … and each is after this: quiet symbols exist, and asking again costs one name in a frame.
const STALE_MICROS_MAX: i64 = 3600 * SECOND;
/// The mean follows the last so many pauses, and is known well after as many.
const PAUSES_REMEMBERED: u32 = 128;
/// What a process that was killed had received and not published: its queue holds less than this when the broker is there.
const UNPUBLISHED_MICROS_MAX: i64 = 5 * SECOND;
/// Pushes that cannot be read are declared together, once in so long: an exchange that changes its format changes every push.
const UNREADABLE_MICROS: i64 = 60 * SECOND;

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
#[derive(Debug)]
pub(crate) struct Liveness {
    data_type: DataType,
    /// Since when it is asked for, on the socket that is open longest; `None` while none is.
    asked: Option<Timestamp>,
    received: Option<Timestamp>,
    event: Option<Timestamp>,
    events: u64,
    /// Whether anything came since it was asked for.
    is_heard: bool,
    mean_pause_micros: Option<i64>,
    /// How often it was found silent since it was heard last.
    silences: u32,
    /// Since when no socket brings it; `None` while one does.
    unheard_since: Option<Timestamp>,
    /// Before and after what could not be read and is not declared yet.
    unreadable: Option<(Timestamp, Timestamp)>,
    unreadable_declared: Option<Timestamp>,
}

impl Liveness {
    /// A stream that begins.
    pub(crate) const fn new(data_type: DataType) -> Self {
        Self {
            data_type,
            asked: None,
            received: None,
            event: None,
            events: 0,
            is_heard: false,
            mean_pause_micros: None,
            silences: 0,
            unheard_since: None,
            unreadable: None,
            unreadable_declared: None,
        }
    }

    /// Continues after what was published last before this process started.
    pub(crate) fn after(data_type: DataType, published: Option<Timestamp>) -> Self {
        let unheard_since = published.map(|last| last.saturating_add_micros(-UNPUBLISHED_MICROS_MAX));
        Self { unheard_since, ..Self::new(data_type) }
    }

    /// What it brings.
    pub(crate) const fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The stream is asked for on a socket, when none was open before.
    pub(crate) fn opened(&mut self, now: Timestamp) {
        self.asked = Some(now);
        self.is_heard = false;
        self.silences = 0;
    }

    /// The last socket is gone; `heard` is when anything came on it last.
    pub(crate) fn closed(&mut self, heard: Timestamp) {
        self.asked = None;
        self.is_heard = false;
        self.unheard_since.get_or_insert(heard);
    }

    /// Declares what was missed of what is only ever pushed; `is_subscribed` says whether a socket has the stream. Trades
    /// and books know better what they miss, by their sequences.
    pub(crate) fn declare(&mut self, is_subscribed: impl FnOnce() -> bool, context: &mut Context<'_>) {
        // One that fell silent on an open socket is back when it is heard.
        if self.unheard_since.is_some()
            && self.silences == 0
            && is_subscribed()
            && let Some(since) = self.unheard_since.take()
        {
            let detail = "pushed while no socket brought it";
            self.gap((since, context.now), GapReason::Disconnect, detail, context);
        }
        let is_due = |at: Timestamp| context.now.micros_since(at) >= UNREADABLE_MICROS;
        if self.unreadable_declared.is_none_or(is_due) {
            self.declare_unreadable(context);
        }
    }

    /// Declares what could not be read now, for there is no later.
    pub(crate) fn declare_unreadable(&mut self, context: &mut Context<'_>) {
        let Some(times) = self.unreadable.take() else { return };
        self.unreadable_declared = Some(context.now);
        self.gap(times, GapReason::Undecodable, "pushes that cannot be read", context);
    }

    fn gap(&self, times: (Timestamp, Timestamp), reason: GapReason, detail: &str, context: &mut Context<'_>) {
        let is_only_pushed = match self.data_type {
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
            let missing = Missing { ids: None, times: Some(times), reason, filled: 0, detail: Some(detail) };
            context.gap(self.data_type, missing);
        }
    }

    /// Something came that cannot be read.
    pub(crate) fn unreadable(&mut self, now: Timestamp) {
        let before = self.received.unwrap_or(now);
        let (_, until) = self.unreadable.get_or_insert((before, now));
        *until = now;
        self.received(now, None);
    }

    /// Something came, of this time by the exchange's clock where it has one.
    pub(crate) fn received(&mut self, now: Timestamp, event: Option<Timestamp>) {
        if let Some(last) = self.received.filter(|_| self.is_heard) {
            let pause = now.micros_since(last).max(0);
            let mean = self.mean_pause_micros.get_or_insert(pause);
            *mean += (pause - *mean) / i64::from(PAUSES_REMEMBERED);
        }
        self.received = Some(now);
        self.event = event.or(self.event);
        self.events += 1;
        self.is_heard = true;
        self.silences = 0;
    }

    /// The stream as the collector shows it.
    pub(crate) fn status(&self, instrument: &Instrument, now: Timestamp) -> StreamStatus {
        StreamStatus {
            market_type: instrument.market_type,
            symbol: instrument.symbol.clone(),
            data_type: self.data_type,
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
        if !self.is_heard {
            return PATIENCE_MICROS;
        }
        let (pauses, is_burst) = match self.data_type {
            DataType::FundingRate | DataType::VolatilityIndex => (STEADY_PAUSES_MAX, false),
            DataType::Trade | DataType::Liquidation => (PAUSES_MAX, true),
            DataType::OrderBook
            | DataType::OpenInterest
            | DataType::LsrTopPosition
            | DataType::LsrAllAccount
            | DataType::Gap => (PAUSES_MAX, false),
        };
        let is_unsure = is_burst || self.events < u64::from(PAUSES_REMEMBERED);
        let min = if is_unsure { UNSURE_STALE_MICROS_MIN } else { STALE_MICROS_MIN };
        // Heard once: no cadence yet.
        let mean = self.mean_pause_micros.unwrap_or(STALE_MICROS_MAX);
        mean.saturating_mul(pauses).clamp(min, STALE_MICROS_MAX)
    }

    /// How the stream is doing; a book knows besides whether it is valid.
    pub(crate) fn state(&self, now: Timestamp) -> StreamState {
        match (self.asked, self.received) {
            (None, _) => StreamState::Disconnected,
            (Some(asked), _) if !self.is_heard => {
                let is_patient = now.micros_since(asked) < PATIENCE_MICROS;
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
        let patience = self.stale_micros().saturating_mul(1 << self.silences.min(16)).min(STALE_MICROS_MAX);
        if now.micros_since(since) < patience {
            return Verdict::Fine;
        }
        // Its time runs anew.
        self.asked = Some(now);
        self.silences += 1;
        if self.data_type == DataType::Liquidation {
            // Nobody is liquidated for days: nothing is missing, and another socket would not help.
            return Verdict::Resubscribe;
        }
        self.unheard_since.get_or_insert(since);
        if self.silences == 1 { Verdict::Resubscribe } else { Verdict::Replace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::{Recorded, instrument};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000 * SECOND + seconds * SECOND).unwrap()
    }

    #[test]
    fn a_stream_is_judged_by_its_own_cadence() {
        let mut busy = Liveness::new(DataType::Trade);
        let mut quiet = Liveness::new(DataType::Trade);
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
        assert_eq!(busy.judge(at(779)), Verdict::Fine, "and then after twice the time");
        assert_eq!(busy.judge(at(780)), Verdict::Replace);
        assert_eq!((quiet.state(at(660)), quiet.judge(at(660))), (StreamState::Live, Verdict::Fine));
        assert_eq!(quiet.state(at(540 + 3000)), StreamState::Stale);
        busy.received(at(781), None);
        assert_eq!(busy.state(at(782)), StreamState::Live);
    }

    /// Seconds after which a stream that came every so many tenths of a second is stale.
    fn stale_after(data_type: DataType, pause_tenths: i64, events: i64) -> i64 {
        let tenth = |tenths: i64| at(0).saturating_add_micros(tenths * SECOND / 10);
        let mut stream = Liveness::new(data_type);
        stream.opened(at(0));
        (1..=events).for_each(|event| stream.received(tenth(event * pause_tenths), None));
        let last = events * pause_tenths;
        (1..40_000).find(|after| stream.state(tenth(last + after)) == StreamState::Stale).unwrap() / 10
    }

    #[test]
    fn what_comes_at_a_pace_is_missed_soon_and_what_comes_when_something_happens_is_not() {
        assert_eq!(stale_after(DataType::OrderBook, 1, 200), 10, "a hundred updates");
        assert_eq!(stale_after(DataType::OrderBook, 1, 100), 60, "not known well yet");
        assert_eq!(stale_after(DataType::OrderBook, 20, 200), 100, "a quiet symbol");
        assert_eq!(stale_after(DataType::FundingRate, 30, 200), 15, "mark price");
        assert_eq!(stale_after(DataType::FundingRate, 600, 200), 300, "OKX");
        assert_eq!(stale_after(DataType::VolatilityIndex, 10, 200), 10);
        assert_eq!(stale_after(DataType::Trade, 1, 200), 60);
    }

    #[test]
    fn a_stream_never_heard_is_asked_for_again_ever_more_rarely() {
        let mut stream = Liveness::new(DataType::OrderBook);
        stream.opened(at(0));
        let said: Vec<_> = (1..1000).filter(|second| stream.judge(at(*second)) != Verdict::Fine).collect();
        assert_eq!(said, [30, 90, 210, 450, 930]);
    }

    /// Seconds and reason of every gap.
    fn gaps(recorded: &Recorded) -> Vec<(i64, i64, String)> {
        let second = |time: &serde_json::Value| time.as_i64().unwrap() / SECOND - 1_700_000_000;
        let gaps = recorded.messages.iter();
        gaps.map(|gap| {
            (
                second(&gap["from_time_us"]),
                second(&gap["to_time_us"]),
                gap["reason"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
    }

    #[test]
    fn silence_on_an_open_socket_is_declared_when_it_ends() {
        for (data_type, declared) in [
            (DataType::FundingRate, vec![(199, 230, "disconnect".to_owned())]),
            (DataType::Liquidation, vec![]),
            (DataType::OrderBook, vec![]),
        ] {
            let (mut recorded, instrument) = (Recorded::default(), instrument());
            let mut stream = Liveness::new(data_type);
            stream.opened(at(0));
            (0..200).for_each(|second| stream.received(at(second), None));
            for second in 200..230 {
                stream.judge(at(second));
                stream.declare(|| true, &mut recorded.context(&instrument, at(second)));
            }
            assert!(recorded.messages.is_empty(), "it is silent still");
            stream.received(at(230), None);
            stream.declare(|| true, &mut recorded.context(&instrument, at(230)));
            assert_eq!(gaps(&recorded), declared, "{data_type}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_declared_at_once_and_then_together() {
        let (mut recorded, instrument) = (Recorded::default(), instrument());
        let mut stream = Liveness::new(DataType::FundingRate);
        stream.opened(at(0));
        stream.received(at(3), None);
        for second in 4..100 {
            if second % 3 == 0 {
                stream.unreadable(at(second));
            }
            stream.declare(|| true, &mut recorded.context(&instrument, at(second)));
        }
        stream.declare_unreadable(&mut recorded.context(&instrument, at(100)));
        let undecodable = || "undecodable".to_owned();
        assert_eq!(gaps(&recorded), [(3, 6, undecodable()), (6, 66, undecodable()), (66, 99, undecodable())]);
    }
}
