//! Exchange simulator: speaks Binance, OKX and Deribit over WebSocket and REST on one port, from a seeded generator
//! or from a capture, with a ledger of everything it sent and faults on demand. `docs/simulator.md` is its manual.
//!
//! It knows nothing of the pipeline it feeds. Reading order: `exchange` what an exchange's folder provides, `event`
//! what happens, `generator` and `replay` who makes it happen, `hub` where it is published, `connection`, `session`
//! and the folders how it reaches a client, `ledger` what is remembered of it, `control` and `fault` what an operator
//! may do.

mod app;
mod binance;
mod catalogue;
mod clock;
mod config;
mod connection;
mod control;
mod deribit;
mod event;
mod exchange;
mod fault;
mod faults;
mod flags;
mod generator;
mod history;
mod hub;
mod instrument;
mod json;
mod ledger;
mod lock;
mod okx;
mod pace;
mod record;
mod replay;
mod server;
mod session;
mod simulator;
mod streams;
mod units;
mod unread;

pub use app::{DESCRIPTOR, start};
pub use config::{CadenceConfig, CaptureFormat, LimitsConfig, ReplayConfig, SimulatorConfig, Speed};
pub use exchange::{Exchange, Market};
pub use flags::Flags;
pub use instrument::{Contract, Expiry, Instrument, MarketType, Sizes};
pub use replay::{CaptureError, ReplayError};
pub use simulator::{Simulator, SimulatorError};
