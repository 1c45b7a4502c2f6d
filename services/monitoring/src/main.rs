//! What operators see: the status API, the web console, and the bridge from Alertmanager to people.
//!
//! Two listeners of its own: the console with its API (8082), and the bridge for Alertmanager's webhooks (8060). Beside them the admin
//! server that every service has (8083 and 9096 here), on its own thread; 8082 answers `/health` with the same body. It asks
//! Prometheus, Alertmanager and the services, keeps nothing, changes nothing, and goes on while any of them is away.

mod api;
mod app;
mod auth;
mod bridge;
mod broker;
mod config;
mod console;
mod envelope;
mod http;
mod live;
mod metrics;
mod parameters;
mod runbook;
mod server;
mod sources;
mod upstream;

use std::process::ExitCode;

use bridge::TestAlertArgs;
use config::Config;
use marketprism_service::{Descriptor, Invocation, LegacyVariable};

const DESCRIPTOR: Descriptor = Descriptor {
    name: "monitoring",
    about: "Status API, web console, and alerts to DingTalk.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[
        LegacyVariable { variable: "NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" },
        LegacyVariable { variable: "PROMETHEUS_BASE_URL", key: "upstreams.prometheus" },
        LegacyVariable { variable: "ALERTMANAGER_BASE_URL", key: "upstreams.alertmanager" },
        LegacyVariable { variable: "MONITORING_USERNAME", key: "auth.username" },
        LegacyVariable { variable: "MONITORING_PASSWORD", key: "auth.password" },
        LegacyVariable { variable: "MONITORING_API_KEY", key: "auth.api_key" },
        LegacyVariable { variable: "MAX_REQUESTS_PER_MINUTE", key: "auth.requests_per_minute_max" },
        LegacyVariable { variable: "DINGTALK_WEBHOOK_URL", key: "bridge.targets.marketprism.url" },
        LegacyVariable { variable: "DINGTALK_SECRET", key: "bridge.targets.marketprism.secret" },
    ],
};

#[derive(Debug, clap::Args)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Send a sample alert to the target marketprism, print the robot's answer, and exit: short for test-alert
    #[arg(long)]
    test: bool,
}

/// What the binary can do beside serving.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Send a sample alert to a target and print its robot's answer: 0 if the robot took it
    TestAlert(TestAlertArgs),
    /// Print the OpenAPI document of the API
    Openapi,
}

fn main() -> ExitCode {
    let invocation = match Invocation::<Arguments>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    // It can only have been installed before by this very line.
    drop(rustls::crypto::ring::default_provider().install_default());
    let test_alert = match &invocation.arguments {
        Arguments { command: Some(Command::Openapi), .. } => {
            return invocation.perform(async |_: Config, _: Arguments, _| {
                api::print_document().map(|()| ExitCode::SUCCESS)
            });
        }
        Arguments { command: Some(Command::TestAlert(arguments)), .. } => Some(arguments.clone()),
        Arguments { test: true, .. } => Some(TestAlertArgs { target: "marketprism".to_owned() }),
        Arguments { .. } => None,
    };
    match test_alert {
        Some(arguments) => invocation.perform(async |config: Config, _: Arguments, _| {
            bridge::run_test_alert(&config.bridge, &arguments).await
        }),
        None => invocation.serve(app::start),
    }
}
