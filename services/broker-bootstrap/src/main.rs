//! Owns the JetStream streams: creates and changes them, never destructively.
//!
//! It runs once and exits: 0 when the streams are as configured, 1 when something was refused or failed (nothing is
//! changed when something is refused), 64 for bad configuration. No other service creates or changes a stream.

mod app;
mod config;
mod durability;
mod table;

use std::process::ExitCode;

use marketprism_service::{Descriptor, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "broker-bootstrap",
    about: "Creates and updates the JetStream streams, never destructively.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
    ],
};

fn main() -> ExitCode {
    marketprism_service::run(DESCRIPTOR, app::start)
}
