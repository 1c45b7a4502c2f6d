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
mod damage;
mod driver;
mod instruments;
mod okx;
mod links;
mod orderbook;
mod subscriptions;
mod trades;
