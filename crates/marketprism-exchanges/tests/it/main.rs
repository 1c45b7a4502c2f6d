//! Frames in, effects out: everything a session promises, without a socket or a clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub)]

mod book;
mod captures;
mod changes;
mod damage;
mod depth_levels;
mod deribit;
mod deribit_book;
mod deribit_captures;
mod deribit_damage;
mod deribit_data;
mod deribit_subscriptions;
mod deribit_trades;
mod driver;
mod futures;
mod instruments;
mod links;
mod okx;
mod orderbook;
mod subscriptions;
mod trades;
