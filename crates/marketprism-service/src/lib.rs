//! Boot: configuration, logs, metrics, health, supervision, shutdown.
//!
//! Every service of MarketPrism is `fn main() -> ExitCode { run(DESCRIPTOR, start) }`; what happens around `start` is
//! the list in [`run`](mod@crate::run), one module a step. A binary with subcommands parses an [`Invocation`] first. This crate knows nothing of markets, brokers or databases.

mod admin;
mod allocator;
mod arguments;
mod backoff;
pub mod config;
mod health;
pub mod http;
mod logging;
mod metrics;
mod repeats;
mod report;
mod run;
mod service;
mod signals;
mod supervisor;

pub use arguments::NoArgs;
pub use backoff::{Backoff, BackoffConfig};
pub use config::{
    AdminConfig, ConfigError, ConfigSource, Configuration, HostNames, HumanDuration, LegacyVariable,
    LogFormat, LoggingConfig, Secret, ShutdownConfig,
};
pub use health::{Body as HealthBody, Check, Health, Status};
pub use metrics::now_seconds;
pub use report::{Context, Report};
pub use run::{Descriptor, Invocation, run};
pub use service::Service;
pub use signals::Reloads;
pub use tokio_util::sync::CancellationToken;
