//! Collector: exchange sockets in, NATS messages out.
//!
//! One source task per configured exchange ([`exchange`]) plans its connections ([`plan`]) and runs them
//! ([`connection`]); what their sessions emit goes through one bounded queue to the publisher ([`publish`]). Nothing here
//! knows a protocol: that is `marketprism-exchanges`.

mod app;
mod board;
mod clock;
mod config;
mod connection;
mod exchange;
mod gate;
mod metrics;
mod outbox;
mod overflow;
mod plan;
mod pressure;
mod proxy;
mod publish;
mod queue;
mod replay;
mod rest;
mod seeds;
mod sequence;
mod socket;
mod symbols;
mod tap;

use std::process::ExitCode;

use marketprism_service::{Descriptor, Invocation, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "collector",
    about: "Collects market data from exchanges and publishes it on NATS.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
    ],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the binary can do beside collecting.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run recorded traffic through the state machines and print the messages that would have been published
    Replay(replay::ReplayArgs),
}

fn main() -> ExitCode {
    let invocation = match Invocation::<Arguments>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match &invocation.arguments.command {
        // Needs neither configuration nor network.
        Some(Command::Replay(arguments)) => replay::run(arguments),
        None => invocation.serve(app::start),
    }
}
