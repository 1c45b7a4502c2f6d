//! What operators see: the status API, the web console, and the bridge from Alertmanager to people.
//!
//! Two listeners of its own: the console with its API (8082), and the bridge for Alertmanager's webhooks (8060). Beside them the admin
//! server that every service has (8083 and 9096 here), on its own thread; 8082 answers `/health` with the same body. It asks
//! Prometheus, Alertmanager and the services, keeps nothing, changes nothing, and goes on while any of them is away.

mod app;
mod config;
mod console;
mod live;
mod server;

use std::process::ExitCode;

use marketprism_service::{Descriptor, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "monitoring",
    about: "Status API, web console, and alerts to DingTalk.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
    ],
};

fn main() -> ExitCode {
    marketprism_service::run(DESCRIPTOR, app::start)
}
