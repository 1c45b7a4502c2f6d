//! What is asked of REST on a turn: the long/short ratios, and books in `snapshot` mode.

use std::borrow::Cow;

use marketprism_core::message::{Level, LsrAllAccount, LsrTopPosition};
use marketprism_core::{DataType, Decimal, Instrument, Source, Timestamp};
use serde::Deserialize;

use super::book_frame;
use super::envelope;
use super::limits;
use super::trades::base_quantity;
use crate::context::Context;
use crate::decode::{self, millis};
use crate::polled::{Call, Polled, Reading};
use crate::registry::SessionOptions;
use crate::session::Rejected;

/// Levels a side in one answer at most.
pub(super) const BOOK_LEVELS_MAX: u32 = 400;
/// Rows asked for: the newest, and those a few failed turns left out.
const RATIO_ROWS: u32 = 12;

/// Every data type that can be polled.
pub(super) static POLLED: &[Polled] = &[
    Polled { data_type: DataType::OrderBook, call: book_call, read: read_book },
    Polled {
        data_type: DataType::LsrTopPosition,
        call: |instrument, options| {
            let endpoint = "long-short-position-ratio-contract-top-trader";
            ratio_call(endpoint, limits::RATIO_POSITION, instrument, options)
        },
        read: |body, reading, context| read_ratios(DataType::LsrTopPosition, body, reading, context),
    },
    Polled {
        data_type: DataType::LsrAllAccount,
        call: |instrument, options| {
            ratio_call("long-short-account-ratio-contract", limits::RATIO_ACCOUNT, instrument, options)
        },
        read: |body, reading, context| read_ratios(DataType::LsrAllAccount, body, reading, context),
    },
];

/// Path of a book of so many levels a side.
pub(super) fn book_path(instrument: &Instrument, levels: u32) -> String {
    format!(
        "/api/v5/market/books?instId={}&sz={}",
        instrument.instrument_id,
        levels.clamp(1, BOOK_LEVELS_MAX)
    )
}

fn book_call(instrument: &Instrument, options: &SessionOptions) -> Call {
    Call { path: book_path(instrument, options.book_depth), weight: 1, limit: limits::BOOKS }
}

fn read_book(body: &[u8], reading: &mut Reading<'_>, context: &mut Context<'_>) -> Result<(), Rejected> {
    let frame = book_frame::fetched(body, reading.levels)?;
    let contract = context.instrument.contract.as_ref();
    let levels = reading.levels.bids.iter_mut().chain(&mut reading.levels.asks);
    for Level { price, quantity } in levels {
        *quantity = base_quantity(contract, *quantity, *price)?;
    }
    reading.book(frame.sequence, Some(frame.event), context)
}

fn ratio_call(
    endpoint: &str,
    limit: &'static str,
    instrument: &Instrument,
    options: &SessionOptions,
) -> Call {
    let (instrument_id, period) = (&instrument.instrument_id, period_of(&options.ratio_period));
    let path = format!(
        "/api/v5/rubik/stat/contracts/{endpoint}?instId={instrument_id}&period={period}&limit={RATIO_ROWS}"
    );
    Call { path, weight: 1, limit }
}

/// The exchange writes hours and days in capitals, and begins a day at 16:00 UTC unless told otherwise.
fn period_of(common: &str) -> Cow<'_, str> {
    match common.chars().last() {
        Some('h' | 'd') => {
            let capital = common.to_uppercase();
            let is_long = matches!(capital.as_str(), "6H" | "12H") || capital.ends_with('D');
            Cow::Owned(if is_long { capital + "utc" } else { capital })
        }
        _ => Cow::Borrowed(common),
    }
}

/// Time and ratio, newest first: `["1701417600000","1.1739"]`.
#[derive(Debug, Deserialize)]
struct RatioRow {
    #[serde(deserialize_with = "millis")]
    ts: Timestamp,
    ratio: Decimal,
}

impl RatioRow {
    /// Long and short of a ratio r: r/(1+r) and 1/(1+r), rounded to 18 decimals.
    fn shares(&self) -> Option<(Decimal, Decimal)> {
        let one = Decimal::new(1, 0)?;
        let whole = self.ratio.checked_add(one)?;
        Some((self.ratio.over(whole)?, one.over(whole)?))
    }
}

fn read_ratios(
    data_type: DataType,
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    let rows: Vec<RatioRow> = decode::from_str(envelope::data(body)?)?;
    let period = &reading.options.ratio_period;
    for RatioRow { ts, ratio } in reading.news(rows, |row| row.ts, context.now) {
        let (long, short) = RatioRow { ts, ratio }.shares().unzip();
        let (origin, period) = (context.origin(Source::Rest), Cow::Borrowed(period.as_str()));
        context.emit(if data_type == DataType::LsrTopPosition {
            LsrTopPosition::new(origin, ts, ratio, long, short, period).into()
        } else {
            LsrAllAccount::new(origin, ts, ratio, long, short, period).into()
        })?;
    }
    Ok(())
}
