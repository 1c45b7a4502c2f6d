//! Trades on the wire, on the socket and from REST.
//!
//! Ids are consecutive over the single matches of an instrument: in the recordings of 2021 and 2022, from before prints
//! were merged, each follows the one before without exception. The socket merges the matches of one taker order at one
//! price from one source: `tradeId` is the last of them, `count` how many. REST has the single matches. So a message's id
//! names one content: a merged print says its first and last trade and counts as an aggregate, a single match, from
//! either source, goes by its own id. Holes lie between prints, so what fills them is never part of a merged one that was
//! published here; where another collector published one, its first and last trade tell.

use std::borrow::Cow;

use marketprism_core::{Contract, Decimal, TakerSide, Timestamp};
use serde::Deserialize;

use super::envelope;
use crate::decode::{self, millis};
use crate::session::Rejected;
use crate::trade_line::Print;

/// ```json
/// {"instId":"BTC-USDT-SWAP","tradeId":"2978601964","px":"83725.9","sz":"5","side":"buy","ts":"1791369350776","count":"1","source":"0","seqId":344430848209}
/// ```
/// `seqId` is the book's sequence, of no use here; several rows may share it. REST has neither it nor `count`.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow, rename = "tradeId")]
    id: Cow<'a, str>,
    px: Decimal,
    sz: Decimal,
    side: TakerSide,
    #[serde(deserialize_with = "millis")]
    ts: Timestamp,
    #[serde(borrow, default)]
    count: Option<Cow<'a, str>>,
}

impl Row<'_> {
    /// # Errors
    /// Names the field and the value that cannot be right.
    pub(super) fn print(&self, contract: Option<&Contract>) -> Result<Print<'static>, Rejected> {
        let sequence = number("tradeId", &self.id)?;
        let count = self.count.as_ref().map_or(Ok(1), |count| number("count", count))?;
        let first_sequence = match count {
            1.. => sequence.checked_sub(count - 1),
            0 => None,
        };
        let Some(first_sequence) = first_sequence else {
            return Err(Rejected::new(
                "invalid_field",
                format_args!("field `count`: `{count}` of {sequence}"),
            ));
        };
        Ok(Print {
            sequence,
            first_sequence,
            trade_id: None,
            event: self.ts,
            price: self.px,
            quantity: base_quantity(contract, self.sz, self.px)?,
            contracts: contract.map(|_| self.sz),
            side: self.side,
            is_maker_buyer: None,
            trades: (count > 1).then_some((first_sequence, sequence)),
            is_placeholder: false,
        })
    }
}

/// Base units of a size: the exchange's own where it trades base units, else so many contracts.
///
/// # Errors
/// When it does not fit.
pub(super) fn base_quantity(
    contract: Option<&Contract>,
    size: Decimal,
    price: Decimal,
) -> Result<Decimal, Rejected> {
    let base = contract.map_or(Some(size), |contract| contract.base_of_contracts(size, price));
    base.ok_or_else(|| {
        Rejected::new("invalid_field", format_args!("field `sz`: `{size}` contracts at {price} do not fit"))
    })
}

fn number(field: &str, text: &str) -> Result<u64, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("invalid_field", format_args!("field `{field}`: `{text}` is no number")))
}

/// Rows of `/api/v5/market/history-trades`, newest first on the wire, in rising order here.
///
/// # Errors
/// Names the field of the row that cannot be used.
pub(super) fn historical(body: &[u8], contract: Option<&Contract>) -> Result<Vec<Print<'static>>, Rejected> {
    let rows: Vec<Row<'_>> = decode::from_str(envelope::data(body)?)?;
    let mut prints: Vec<_> = rows.iter().map(|row| row.print(contract)).collect::<Result<_, _>>()?;
    prints.sort_by_key(|print| print.sequence);
    Ok(prints)
}
