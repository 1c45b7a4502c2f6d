//! Binance spot and USDⓈ-M futures. One session type serves both; what differs is data in [`market`].
//!
//! Reading order: [`market`], [`spot`] and [`usdm`] (what differs), [`frame`], [`messages`] and [`depth`] (wire
//! shapes), [`order_book`] with [`chain`] (one symbol's book), [`subscriptions`] (what is asked of the exchange), [`session`]
//! (all of it together).

use std::time::Duration;

use crate::registry::SubscribeRate;

mod chain;
mod depth;
mod feed;
mod frame;
mod instruments;
mod market;
mod messages;
mod order_book;
mod session;
pub(crate) mod spot;
mod subscriptions;
pub(crate) mod usdm;

/// The exchange's token on the wire.
const EXCHANGE: &str = "binance";

/// A connection that brings nothing for half of this is asked for a sign of life (`LIST_SUBSCRIPTIONS`), so quiet
/// markets do not look dead; without an answer in the other half it is dead.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The limit most requests count against.
const WEIGHT: &str = "weight";

/// What [`subscriptions`] keeps to.
const SUBSCRIBE_RATE: SubscribeRate = SubscribeRate {
    streams: subscriptions::STREAMS_PER_FRAME_MAX,
    per: Duration::from_micros(subscriptions::FRAME_MICROS_MIN.unsigned_abs()),
};
