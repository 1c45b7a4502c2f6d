//! The vocabulary of MarketPrism: what a message is, what its subject is called, which stream carries it.
//!
//! No I/O, no async, no clock: everything here is a pure function of its arguments, so every other crate may
//! import it and it imports none of ours. In reading order: the closed sets ([`DataType`], [`MarketType`],
//! [`TakerSide`] …), the exact [`Decimal`], the µs [`Timestamp`], an [`Instrument`], the nine [`message`]s, the
//! [`Subject`] each is published on, its [`message_id`], and the [`topology`] of the streams.

pub mod contract;
pub mod data_type;
pub mod decimal;
pub mod instrument;
pub mod message;
pub mod message_id;
pub mod schema;
pub mod subject;
pub mod time;
pub mod topology;

pub use contract::{Contract, ContractUnit};
pub use data_type::{DataType, GapReason, MarketType, SnapshotOf, Source, TakerSide, TimeSource};
pub use decimal::{Decimal, DecimalError};
pub use instrument::{Instrument, InstrumentError};
pub use message::{DecodeError, InvalidField, Message};
pub use subject::{Subject, SubjectError};
pub use time::{Timestamp, TimestampError};
