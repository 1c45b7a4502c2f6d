//! Collector: exchange sockets in, NATS messages out.
//!
//! The [`fleet`] owns one task per configured exchange ([`exchange`]), which chooses its instruments ([`symbols`]), plans its
//! connections ([`plan`]) and runs them ([`connection`]); what their sessions emit goes through one bounded queue to the
//! publisher ([`publish`]). Nothing here knows a protocol: that is `marketprism-exchanges`.

mod app;
mod board;
mod clock;
mod config;
mod connection;
mod control;
mod door;
mod exchange;
mod fleet;
mod gate;
mod listing;
mod metrics;
mod missed;
mod outbox;
mod overflow;
mod plan;
mod plan_command;
mod pressure;
mod proxy;
mod publish;
mod queue;
mod record;
mod reload;
mod replay;
mod rest;
mod seeds;
mod sequence;
mod snapshots;
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
    /// Print which connections would be opened for what, and exit: 0 if it can be had, 64 if an exchange does not list a symbol
    #[arg(long)]
    plan: bool,
    /// Print the plan as JSON
    #[arg(long, requires = "plan")]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What the binary can do beside collecting.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run recorded traffic through the state machines and print the messages that would have been published
    Replay(replay::ReplayArgs),
    /// Record what the exchanges send, as it comes, without publishing it
    Record(record::RecordArgs),
}

/// Both the exchanges' sockets and REST use this TLS implementation; a second install is refused and harmless.
fn install_tls() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
}

fn main() -> ExitCode {
    let invocation = match Invocation::<Arguments>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match &invocation.arguments.command {
        // Needs neither configuration nor network.
        Some(Command::Replay(arguments)) => replay::run(arguments),
        Some(Command::Record(arguments)) if !arguments.publish => {
            let arguments = arguments.clone();
            invocation.perform(|config, _: Arguments, stop| record::run(config, arguments, stop))
        }
        None if invocation.arguments.plan => invocation.perform(plan_command::run),
        Some(Command::Record(_)) | None => invocation.serve(app::start),
    }
}
