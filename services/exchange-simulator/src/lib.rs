//! Exchange simulator: speaks Binance spot and USDⓈ-M over WebSocket and REST on one port, from a seeded generator
//! or from a capture, with a ledger of everything it sent and faults on demand. `docs/simulator.md` is its manual.
//!
//! It knows nothing of the pipeline it feeds. Reading order: `event` what happens, `generator` and `replay` who
//! makes it happen, `exchange` where it is published, `connection` and `binance` how it reaches a client, `ledger`
//! what is remembered of it, `control` and `fault` what an operator may do.

mod app;
mod binance;
mod clock;
mod config;
mod connection;
mod control;
mod event;
mod exchange;
mod fault;
mod flags;
mod generator;
mod history;
mod instrument;
mod ledger;
mod lock;
mod pace;
mod pings;
mod record;
mod replay;
mod server;
mod simulator;
mod streams;
mod units;

pub use app::{DESCRIPTOR, start};
pub use config::{CaptureFormat, LimitsConfig, ReplayConfig, SimulatorConfig, Speed};
pub use flags::Flags;
pub use instrument::{Instrument, MarketType, built_in};
pub use replay::{CaptureError, ReplayError};
pub use simulator::{Simulator, SimulatorError};
