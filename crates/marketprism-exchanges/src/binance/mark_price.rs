//! Funding of perpetual contracts: pushed with the mark price, except for the hours between two fundings, which REST
//! lists.
//!
//! The stream of every three seconds is taken, not that of every second: the rate is an average over hours, and three
//! times the messages tell no more of it. Every push is published.

use std::borrow::Cow;
use std::collections::HashMap;

use marketprism_core::message::FundingRate;
use marketprism_core::{DataType, Decimal, Source, Timestamp};
use serde::Deserialize;

use crate::context::Context;
use crate::decode::{from_slice, from_str, millis};
use crate::latest::Latest;
use crate::polled::Call;
use crate::session::{Note, Rejected};

/// The stream's name after the symbol.
pub(super) const STREAM: &str = "markPrice";
const INTERVAL_HOURS_DEFAULT: u32 = 8;

/// ```json
/// {"e":"markPriceUpdate","E":1791269856000,"s":"BTCUSDT","p":"85296.60260870","ap":"85296.60260870","P":"85321.91711993","i":"85345.93826087","r":"0.00000523","T":1791273600000,"st":1}
/// ```
#[derive(Debug, Deserialize)]
struct MarkPriceUpdate<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(rename = "E", deserialize_with = "millis")]
    event: Timestamp,
    #[serde(rename = "p")]
    mark: Decimal,
    #[serde(rename = "i")]
    index: Decimal,
    #[serde(rename = "r")]
    rate: Decimal,
    /// 0 where there is none.
    #[serde(rename = "T", deserialize_with = "millis")]
    next_funding: Timestamp,
}

/// A row of `fundingInfo`; contracts of the usual interval are not in it.
/// ```json
/// [{"symbol":"LPTUSDT","adjustedFundingRateCap":"0.02000000","adjustedFundingRateFloor":"-0.02000000","fundingIntervalHours":4,"disclaimer":false,"updateTime":null}]
/// ```
#[derive(Debug, Deserialize)]
struct FundingInfo {
    symbol: String,
    #[serde(rename = "fundingIntervalHours")]
    interval_hours: u32,
}

/// Lists the contracts that are funded otherwise than every eight hours.
pub(super) fn intervals_call() -> Call {
    Call { path: "/fapi/v1/fundingInfo".to_owned(), weight: 1, limit: super::FUNDING }
}

/// Hours between two fundings, of the contracts that are listed.
pub(super) fn intervals(body: &[u8]) -> Result<HashMap<String, u32>, Rejected> {
    let rows: Vec<FundingInfo> = from_slice(body)?;
    Ok(rows.into_iter().map(|row| (row.symbol, row.interval_hours)).collect())
}

/// The funding of one contract.
#[derive(Debug, Default)]
pub(super) struct Funding {
    latest: Latest,
    /// `None` until REST told.
    interval_hours: Option<u32>,
}

impl Funding {
    pub(super) fn new(published: Option<Timestamp>) -> Self {
        Self { latest: Latest::new(published), interval_hours: None }
    }

    pub(super) fn set_interval(&mut self, listed: Option<u32>) {
        self.interval_hours = Some(listed.unwrap_or(INTERVAL_HOURS_DEFAULT));
    }

    /// A push; several sockets bring the same one. Gives its time.
    pub(super) fn event(&mut self, data: &str, context: &mut Context<'_>) -> Result<Timestamp, Rejected> {
        let update: MarkPriceUpdate<'_> = from_str(data)?;
        super::messages::check_instrument(&update.s, &context.instrument.instrument_id)?;
        if !self.latest.is_news(update.event) {
            context.out.note(Note::Duplicate { data_type: DataType::FundingRate });
            return Ok(update.event);
        }
        let funding = FundingRate::new(
            context.origin(Source::Ws),
            update.event,
            update.rate,
            None,
            (update.next_funding.as_micros() > 0).then_some(update.next_funding),
            Some(update.mark),
            Some(update.index),
            self.interval_hours,
        );
        context.emit(funding.into())?;
        self.latest.set(update.event);
        Ok(update.event)
    }
}
