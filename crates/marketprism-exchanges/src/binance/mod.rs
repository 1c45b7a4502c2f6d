//! Binance spot and USDⓈ-M futures. One session type serves both; what differs is data in [`market`].
//!
//! Reading order: [`market`], [`spot`] and [`usdm`] (what differs), [`frame`], [`messages`], [`depth`], [`mark_price`] and
//! [`force_order`] (what is pushed), [`polled`] (what is polled), [`order_book`] with [`chain`] and [`ahead`] (one symbol's
//! depth events in order), [`local_book`] with [`refresh`] (the book they make), [`feed`] (all of one symbol), [`rest`]
//! (what is asked for it), [`socket`] with [`subscriptions`] (one socket), [`session`] (all of it together).

use std::time::Duration;

use crate::registry::SubscribeRate;

mod ahead;
mod chain;
mod depth;
mod feed;
mod force_order;
mod frame;
mod instruments;
mod local_book;
mod mark_price;
mod market;
mod messages;
mod order_book;
mod polled;
mod refresh;
mod rest;
mod session;
mod socket;
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
/// The limit of what is below `/futures/data`.
const STATISTICS: &str = "statistics";
/// The limit of what is told about funding.
const FUNDING: &str = "funding";

/// What [`subscriptions`] keeps to.
const SUBSCRIBE_RATE: SubscribeRate = SubscribeRate {
    streams: subscriptions::STREAMS_PER_FRAME_MAX,
    per: Duration::from_micros(subscriptions::FRAME_MICROS_MIN.unsigned_abs()),
};
