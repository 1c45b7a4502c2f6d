//! Everything that knows ClickHouse: the tables, their versions, inserting, and copying from tier to tier.
//!
//! No type of the ClickHouse client appears in a public signature, and the row structs are private: what comes in are
//! messages of `marketprism-core` with their place in the stream. In reading order: [`ClickHouseConfig`] and [`Store`]
//! (one database), [`schema`] (its tables), [`Entry`] and `insert` (messages to rows), the questions about stored
//! [`sequences`], the hot tier's stream [`epoch`]s, and what the cold tier needs: [`range`]s, how they are copied, the
//! [`ledger`], how the hot tier lets go of what is copied ([`release`]), and the [`census`] for people.

mod admission;
pub mod census;
mod client;
mod config;
mod copy;
pub mod epoch;
mod error;
pub mod fingerprint;
mod insert;
pub mod keys;
pub mod ledger;
pub mod losses;
mod native;
pub mod range;
pub mod release;
mod rows;
pub mod schema;
pub mod sequences;
mod table;

pub use client::Store;
pub use config::{ClickHouseConfig, Compression, Credential, InvalidField};
pub use copy::Copied;
pub use error::StoreError;
pub use insert::Entry;
pub use schema::{SchemaMode, Tier};
pub use table::table;
