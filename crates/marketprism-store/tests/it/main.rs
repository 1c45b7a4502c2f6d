//! The store against the real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod admission;
mod census;
mod clusters;
mod connection;
mod durability;
mod fingerprints;
mod grants;
mod ranges;
mod round_trip;
mod schema;
mod sequences;
mod sql;
mod views;
