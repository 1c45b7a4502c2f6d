//! Liquidations. The exchange pushes at most one a second of each symbol, the largest: a sample, not a tape, and no
//! endpoint gives the others.

use std::borrow::Cow;
use std::collections::VecDeque;

use marketprism_core::message::Liquidation;
use marketprism_core::{DataType, Decimal, Source, TakerSide, Timestamp};
use serde::Deserialize;

use crate::context::Context;
use crate::decode::{from_str, millis};
use crate::session::{Note, Rejected};

/// The stream's name after the symbol.
pub(super) const STREAM: &str = "forceOrder";
/// Orders remembered, to know what another socket brings again: with one a second, as far as sockets may be apart.
const REMEMBERED_MAX: usize = 16;
/// `st` of coin-margined contracts, which some streams carry too.
const COIN_MARGINED: u8 = 2;

/// ```json
/// {"e":"forceOrder","E":1791391083124,"o":{"s":"ILVUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"116.5","p":"3.80300","ap":"3.85642","X":"FILLED","l":"25.2","z":"116.5","T":1791391082119,"ps":"ILVUSDT","st":1}}
/// ```
#[derive(Debug, Deserialize)]
struct ForceOrder<'a> {
    #[serde(borrow)]
    o: Order<'a>,
}

#[derive(Debug, Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(rename = "S")]
    side: Side,
    #[serde(rename = "p")]
    price: Decimal,
    #[serde(rename = "ap")]
    average_price: Decimal,
    /// Filled so far: what was liquidated. `q` is what the order asked for.
    #[serde(rename = "z")]
    filled: Decimal,
    #[serde(borrow, rename = "X")]
    status: Cow<'a, str>,
    #[serde(rename = "T", deserialize_with = "millis")]
    time: Timestamp,
    #[serde(default)]
    st: Option<u8>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Side {
    Buy,
    Sell,
}

/// The liquidations of one contract.
#[derive(Debug, Default)]
pub(super) struct Liquidations {
    /// The last ones published.
    remembered: VecDeque<(Timestamp, Decimal, Decimal)>,
}

impl Liquidations {
    /// A push; several sockets bring the same one. Gives its time.
    pub(super) fn event(&mut self, data: &str, context: &mut Context<'_>) -> Result<Timestamp, Rejected> {
        let ForceOrder { o: order } = from_str(data)?;
        super::messages::check_instrument(&order.s, &context.instrument.instrument_id)?;
        let same = (order.time, order.price, order.filled);
        let ignored = match order.st {
            Some(COIN_MARGINED) => Some("coin_margined"),
            _ if order.filled.is_zero() => Some("liquidation_unfilled"),
            _ => None,
        };
        if let Some(what) = ignored {
            context.out.note(Note::Ignored { what });
        } else if self.remembered.contains(&same) {
            context.out.note(Note::Duplicate { data_type: DataType::Liquidation });
        } else {
            publish(&order, context)?;
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.pop_front();
            }
            self.remembered.push_back(same);
        }
        Ok(order.time)
    }
}

fn publish(order: &Order<'_>, context: &mut Context<'_>) -> Result<(), Rejected> {
    let liquidation = Liquidation::new(
        context.origin(Source::Ws),
        order.time,
        match order.side {
            Side::Buy => TakerSide::Buy,
            Side::Sell => TakerSide::Sell,
        },
        order.price,
        (!order.average_price.is_zero()).then_some(order.average_price),
        order.filled,
        None,
        Some(Cow::Owned(order.status.to_lowercase())),
    );
    context.emit(liquidation.into())
}
