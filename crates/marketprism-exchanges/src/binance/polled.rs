//! What is polled: open interest, the two long/short ratios, books in `snapshot` mode.

use std::borrow::Cow;

use marketprism_core::message::{LsrAllAccount, LsrTopPosition, OpenInterest, Origin};
use marketprism_core::{Decimal, Instrument, Message, Source, Timestamp};
use serde::Deserialize;

use super::market::percent_encoded;
use super::{STATISTICS, WEIGHT, depth};
use crate::context::Context;
use crate::decode::{from_slice, millis};
use crate::polled::{Call, Reading};
use crate::registry::SessionOptions;
use crate::session::Rejected;

/// Rows asked for of a ratio: an hour of the shortest period. They appear some minutes late, and one that a failed
/// request missed is still in the next answer.
const RATIO_ROWS: u32 = 12;

/// In base units:
/// ```json
/// {"symbol":"BTCUSDT","openInterest":"95253.475","time":1791269771665}
/// ```
#[derive(Debug, Deserialize)]
struct OpenInterestNow {
    symbol: String,
    #[serde(rename = "openInterest")]
    base: Decimal,
    #[serde(deserialize_with = "millis")]
    time: Timestamp,
}

/// A row of either ratio; `longAccount` and `shortAccount` also where positions are counted:
/// ```json
/// [{"symbol":"BTCUSDT","longAccount":"0.6217","longShortRatio":"1.6434","shortAccount":"0.3783","timestamp":1789209000000}]
/// ```
#[derive(Debug, Deserialize)]
struct Ratio {
    symbol: String,
    #[serde(rename = "longShortRatio")]
    ratio: Decimal,
    #[serde(rename = "longAccount")]
    long: Decimal,
    #[serde(rename = "shortAccount")]
    short: Decimal,
    /// A number on the wire, a text in the documentation.
    #[serde(deserialize_with = "millis")]
    timestamp: Timestamp,
}

pub(super) fn open_interest_call(instrument: &Instrument, _: &SessionOptions) -> Call {
    let symbol = percent_encoded(&instrument.instrument_id);
    Call { path: format!("/fapi/v1/openInterest?symbol={symbol}"), weight: 1, limit: WEIGHT }
}

pub(super) fn top_position_call(instrument: &Instrument, options: &SessionOptions) -> Call {
    ratio_call("topLongShortPositionRatio", instrument, options)
}

pub(super) fn all_account_call(instrument: &Instrument, options: &SessionOptions) -> Call {
    ratio_call("globalLongShortAccountRatio", instrument, options)
}

fn ratio_call(name: &str, instrument: &Instrument, options: &SessionOptions) -> Call {
    let symbol = percent_encoded(&instrument.instrument_id);
    let period = percent_encoded(&options.ratio_period);
    let path = format!("/futures/data/{name}?symbol={symbol}&period={period}&limit={RATIO_ROWS}");
    Call { path, weight: 1, limit: STATISTICS }
}

pub(super) fn open_interest(
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    let now: OpenInterestNow = from_slice(body)?;
    check_symbol(&now.symbol, context)?;
    for now in reading.news(vec![now], |now| now.time, context.now) {
        let interest = OpenInterest::new(context.origin(Source::Rest), now.time, None, Some(now.base), None);
        context.emit(interest.into())?;
    }
    Ok(())
}

pub(super) fn top_position(
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    ratios(body, reading, context, |row, period, origin| {
        let period = Cow::Borrowed(period);
        LsrTopPosition::new(origin, row.timestamp, row.ratio, Some(row.long), Some(row.short), period).into()
    })
}

pub(super) fn all_account(
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    ratios(body, reading, context, |row, period, origin| {
        let period = Cow::Borrowed(period);
        LsrAllAccount::new(origin, row.timestamp, row.ratio, Some(row.long), Some(row.short), period).into()
    })
}

fn ratios(
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
    message: for<'m> fn(&Ratio, &'m str, Origin<'m>) -> Message<'m>,
) -> Result<(), Rejected> {
    let rows: Vec<Ratio> = from_slice(body)?;
    rows.iter().try_for_each(|row| check_symbol(&row.symbol, context))?;
    let options = reading.options;
    for row in reading.news(rows, |row| row.timestamp, context.now) {
        context.emit(message(&row, &options.ratio_period, context.origin(Source::Rest)))?;
    }
    Ok(())
}

pub(super) fn book(
    body: &[u8],
    reading: &mut Reading<'_>,
    context: &mut Context<'_>,
) -> Result<(), Rejected> {
    let snapshot = depth::snapshot(body, reading.levels)?;
    reading.book(snapshot.last, snapshot.event, context)
}

fn check_symbol(named: &str, context: &Context<'_>) -> Result<(), Rejected> {
    let expected = &context.instrument.instrument_id;
    if named == expected {
        return Ok(());
    }
    Err(Rejected::new(
        "invalid_field",
        format_args!("field `symbol`: `{named}` in the answer for {expected}"),
    ))
}
