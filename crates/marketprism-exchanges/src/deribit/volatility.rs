//! The volatility index DVOL of one currency: the values of the socket as they come, and the bars of a minute from REST.
//!
//! A bar is published once it is over, never while it still forms. Bars are asked for shortly after each minute, from the
//! first one missing on, so that an outage of REST leaves no hole.

use marketprism_core::message::VolatilityIndex;
use marketprism_core::{DataType, GapReason, Instrument, Source, Timestamp};

use super::messages::{Bar, Bars, VolatilityEvent};
use super::rpc;
use crate::context::{Context, Missing, SECOND};
use crate::decode;
use crate::latest::Latest;
use crate::liveness::Liveness;
use crate::requests::Ask;
use crate::session::{FetchFailed, Note, Rejected};

const BAR_SECONDS: u32 = 60;
const BAR_MICROS: i64 = 60 * SECOND;
/// Bars are asked for so long after a minute's end: the exchange has them by then, and their clock may be behind ours.
const DELAY_MICROS: i64 = 2 * SECOND;
/// Bars asked for at once: less than a page of the exchange.
const BARS_PER_REQUEST: u16 = 500;
/// Bars older than this are not asked for: behind an outage of days the present would wait for the past.
const BARS_MAX: i64 = 24 * 60;

/// One currency's index.
#[derive(Debug)]
pub(super) struct Volatility {
    pub(super) liveness: Liveness,
    /// The latest value of the socket.
    seen: Latest,
    pub(super) bars: BarPoll,
}

impl Volatility {
    /// Continues after what was published before this process started.
    pub(super) fn new(seed: Option<Timestamp>) -> Self {
        Self {
            liveness: Liveness::after(DataType::VolatilityIndex, seed),
            seen: Latest::new(seed),
            bars: BarPoll::new(seed),
        }
    }

    /// A value arrived on the socket.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn event(&mut self, data: &str, context: &mut Context<'_>) -> Result<(), Rejected> {
        let taken = self.take(data, context);
        match taken {
            Ok(event) => self.liveness.received(context.now, Some(event)),
            Err(_) => self.liveness.unreadable(context.now),
        }
        taken.map(drop)
    }

    /// Gives its time.
    fn take(&mut self, data: &str, context: &mut Context<'_>) -> Result<Timestamp, Rejected> {
        let VolatilityEvent { volatility, event } = decode::from_str(data)?;
        if !self.seen.is_news(event) {
            context.out.note(Note::Duplicate { data_type: DataType::VolatilityIndex });
            return Ok(event);
        }
        let origin = context.origin(Source::Ws);
        context.emit(VolatilityIndex::new(origin, event, volatility, None, None, None, None).into())?;
        self.seen.set(event);
        Ok(event)
    }
}

/// The bars of one currency.
#[derive(Debug)]
pub(super) struct BarPoll {
    ask: Ask,
    /// When bars are wanted next.
    due: Timestamp,
    /// Beginning of the first bar that is not published; none until the first request.
    next: Option<Timestamp>,
    window: Option<Window>,
}

/// What is being asked for, page by page.
#[derive(Debug)]
struct Window {
    end: Timestamp,
    /// Pages come backwards: where the next one ends.
    page_end: Timestamp,
    /// [`BARS_PER_REQUEST`] and one at most, a minute each.
    rows: Vec<Bar>,
}

impl BarPoll {
    fn new(seed: Option<Timestamp>) -> Self {
        // The bar that was forming then is the first that was not published.
        Self { ask: Ask::default(), due: Timestamp::default(), next: seed.map(bar_of), window: None }
    }

    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        if now >= self.due {
            self.due = bar_of(now).saturating_add_micros(BAR_MICROS + DELAY_MICROS);
            self.ask.want(now);
        }
        self.ask.is_due(now)
    }

    /// The path to ask for the bars that are missing; declares those too old to be asked for.
    pub(super) fn request(&mut self, context: &mut Context<'_>) -> String {
        self.ask.opened();
        let present = bar_of(context.now);
        let oldest = present.saturating_add_micros(-BARS_MAX * BAR_MICROS);
        let next = self.next.unwrap_or(present);
        if next < oldest {
            let missing = Missing {
                ids: None,
                times: Some((next, oldest)),
                reason: GapReason::Disconnect,
                filled: 0,
                detail: Some("bars too old to be asked for"),
            };
            context.gap(DataType::VolatilityIndex, missing);
        }
        let start = next.max(oldest);
        self.next = Some(start);
        let end =
            start.saturating_add_micros(i64::from(BARS_PER_REQUEST) * BAR_MICROS).min(context.now).max(start);
        let window = self.window.get_or_insert_with(|| Window { end, page_end: end, rows: Vec::new() });
        path(context.instrument, start, window.page_end)
    }

    /// An answer came: publishes the bars that are over.
    ///
    /// # Errors
    /// When it cannot be read; then it is asked for again.
    pub(super) fn answered(&mut self, body: &[u8], context: &mut Context<'_>) -> Result<(), Rejected> {
        let Bars { rows, continuation } =
            rpc::result(body).inspect_err(|_| self.failed(None, context.now))?;
        let (Some(start), Some(window)) = (self.next, &mut self.window) else { return Ok(()) };
        window.rows.extend(rows);
        if let Some(page_end) = continuation.and_then(Timestamp::from_millis)
            && (start..window.page_end).contains(&page_end)
            && window.rows.len() <= usize::from(BARS_PER_REQUEST)
        {
            window.page_end = page_end;
            self.ask.want_more(context.now);
            return Ok(());
        }
        let end = window.end;
        let mut rows = self.window.take().map(|window| window.rows).unwrap_or_default();
        rows.sort_by_key(|row| row.0);
        rows.dedup_by_key(|row| row.0);
        let is_past = context.now.micros_since(end) >= 2 * BAR_MICROS;
        if is_past {
            self.ask.want_more(context.now);
        } else {
            self.ask.succeeded();
            // The last one still forms.
            rows.pop();
        }
        let after = rows.last().map(|row| row.0.saturating_add_micros(BAR_MICROS));
        self.next = Some(match after {
            Some(after) => after.max(start),
            // What the exchange does not have in a window of the past it will not have later.
            None if is_past => end.max(start.saturating_add_micros(BAR_MICROS)),
            None => start,
        });
        let fresh = rows.iter().filter(|row| row.0 >= start);
        fresh.map(|row| publish(row, context)).fold(Ok(()), Result::and)
    }

    /// No answer came: asks again later.
    pub(super) fn failed(&mut self, failure: Option<&FetchFailed>, now: Timestamp) {
        self.ask.failed(now, failure);
        // Where nothing of it came yet the next request goes up to the present.
        self.window = self.window.take().filter(|window| !window.rows.is_empty());
    }
}

fn bar_of(time: Timestamp) -> Timestamp {
    time.saturating_add_micros(-time.as_micros().rem_euclid(BAR_MICROS))
}

fn publish(row: &Bar, context: &mut Context<'_>) -> Result<(), Rejected> {
    let Bar(event, open, high, low, close) = *row;
    let origin = context.origin(Source::Rest);
    let bar =
        VolatilityIndex::new(origin, event, close, Some(open), Some(high), Some(low), Some(BAR_SECONDS));
    context.emit(bar.into())
}

fn path(instrument: &Instrument, start: Timestamp, end: Timestamp) -> String {
    let [start, end] = [start, end].map(|time| time.as_micros() / 1_000);
    format!(
        "/api/v2/public/get_volatility_index_data?currency={}&start_timestamp={start}&end_timestamp={end}&resolution={BAR_SECONDS}",
        instrument.symbol
    )
}
