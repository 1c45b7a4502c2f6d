//! Deribit: options, perpetuals, futures and the volatility index DVOL, JSON-RPC 2.0 on one socket.
//!
//! Reading order: [`integration`] (addresses and limits), [`rpc`], [`frame`] and [`channel`] (the envelope), [`messages`],
//! [`depth`] and [`number`] (wire shapes), [`order_book`], [`ticker`] and [`volatility`] (what is made of them),
//! [`subscriptions`] and [`socket`] (what is asked of the exchange), [`feed`] and [`session`] (all of it together).

use std::time::Duration;

mod channel;
mod depth;
mod feed;
mod frame;
mod instruments;
pub(crate) mod integration;
mod messages;
mod number;
mod order_book;
mod polled;
mod rpc;
mod session;
mod socket;
mod subscriptions;
mod ticker;
mod volatility;

/// The exchange's token on the wire.
const EXCHANGE: &str = "deribit";

/// A still socket brings a heartbeat every 15 s: ten more without anything are a dead one.
const SILENCE_MAX: Duration = Duration::from_secs(25);

/// The limit most requests count against …
const CREDITS: &str = "credits";
/// … and what each costs.
const CALL_CREDITS: u32 = 500;
