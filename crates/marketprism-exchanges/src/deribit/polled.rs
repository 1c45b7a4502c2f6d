//! What is polled in `snapshot` mode: order books.

use marketprism_core::message::Level;
use marketprism_core::{DataType, Instrument};
use serde_json::value::RawValue;

use super::messages::base;
use super::{CALL_CREDITS, CREDITS, depth, rpc};
use crate::context::Context;
use crate::polled::{Call, Polled, Reading};
use crate::registry::SessionOptions;
use crate::session::Rejected;

pub(super) const POLLED: &[Polled] =
    &[Polled { data_type: DataType::OrderBook, call: get_order_book, read: order_book }];

/// Depths the exchange answers, smallest first …
const DEPTHS: [u32; 7] = [1, 5, 10, 20, 50, 100, 1_000];
/// … and the last.
const DEPTH_MAX: u32 = 10_000;

fn get_order_book(instrument: &Instrument, options: &SessionOptions) -> Call {
    let depth = DEPTHS.into_iter().find(|depth| *depth >= options.book_depth).unwrap_or(DEPTH_MAX);
    let path =
        format!("/api/v2/public/get_order_book?instrument_name={}&depth={depth}", instrument.instrument_id);
    Call { path, weight: CALL_CREDITS, limit: CREDITS }
}

fn order_book(body: &[u8], reading: &mut Reading<'_>, context: &mut Context<'_>) -> Result<(), Rejected> {
    let result: &RawValue = rpc::result(body)?;
    let depth = depth::event(result.get(), &context.instrument.instrument_id, reading.levels)?;
    let contract = context.instrument.contract;
    for level in reading.levels.bids.iter_mut().chain(&mut reading.levels.asks) {
        let Level { price, quantity } = *level;
        level.quantity = base(contract.as_ref(), quantity, price).ok_or_else(|| {
            Rejected::new("invalid_field", format_args!("amount `{quantity}` at price `{price}`"))
        })?;
    }
    reading.book(depth.last, Some(depth.event), context)
}
