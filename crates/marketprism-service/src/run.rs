//! The boot list. Each step is one module; nothing here decides anything about markets.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Pages};
use crate::arguments;
use crate::config::{self, ConfigSource, Configuration, Environment, LegacyVariable};
use crate::health::Health;
use crate::repeats::Repeats;
use crate::report::{Context, Report};
use crate::service::Service;
use crate::signals::Signals;
use crate::supervisor::{Outcome, Role, Tasks, supervise};
use crate::{logging, metrics};

/// Exit code of bad configuration or arguments (`EX_USAGE` of sysexits.h).
pub(crate) const EXIT_CONFIGURATION: u8 = 64;

/// What a service is: names and texts of the command line.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// `collector`: as in logs, health and metrics.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// `env!("CARGO_PKG_VERSION")`
    pub version: &'static str,
    /// Variables of this service beyond `LOG_LEVEL`, `HEALTH_CHECK_PORT` and `METRICS_PORT`.
    pub legacy_env: &'static [LegacyVariable],
}

/// Runs a service from its arguments to its exit code: 0 drained, 64 bad configuration, 1 otherwise.
///
/// `start` connects and registers tasks, then returns; if it registers none, the process ends when it returns. A signal that
/// comes before it returned drops it where it waits, and the exit code is 1: what it was to do is not done.
pub fn run<C, A, F, Fut>(descriptor: Descriptor, start: F) -> ExitCode
where
    C: Configuration,
    A: clap::Args + Send + 'static,
    F: FnOnce(C, A, Service) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), Report>> + Send + 'static,
{
    match Invocation::parse(descriptor) {
        Ok(invocation) => invocation.serve(start),
        Err(code) => code,
    }
}

/// A parsed command line, for a binary that can do more than serve: subcommands are a `#[command(subcommand)]` of its `A`.
#[derive(Debug)]
pub struct Invocation<A> {
    descriptor: Descriptor,
    source: ConfigSource,
    check_config: bool,
    /// What the binary's own flags and subcommands say.
    pub arguments: A,
}

impl<A: clap::Args + Send + 'static> Invocation<A> {
    /// Boot step 1: the arguments of this process.
    ///
    /// # Errors
    /// How the process ends instead: `--help`, `--version`, or a mistake that was printed.
    pub fn parse(descriptor: Descriptor) -> Result<Self, ExitCode> {
        let (common, arguments) = arguments::parse::<A>(&descriptor, std::env::args_os())?;
        let source =
            ConfigSource { file: common.config, environment: environment(), legacy: descriptor.legacy_env };
        Ok(Self { descriptor, source, check_config: common.check_config, arguments })
    }

    /// Runs the service, see [`run`](fn@run).
    pub fn serve<C, F, Fut>(self, start: F) -> ExitCode
    where
        C: Configuration,
        F: FnOnce(C, A, Service) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Report>> + Send + 'static,
    {
        self.booted(|descriptor, source, configuration, arguments, repeats| {
            let outcome = serve(descriptor, source, configuration, arguments, repeats, start)?;
            Ok(if outcome == Outcome::Drained { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    /// Runs one command to its end: configuration and logs as for the service, but no admin server and no supervision. A
    /// signal cancels the token, a second one ends the process at once. The exit code is the command's, 1 on an error.
    pub fn perform<C, F, Fut>(self, command: F) -> ExitCode
    where
        C: Configuration,
        F: FnOnce(C, A, CancellationToken) -> Fut,
        Fut: Future<Output = Result<ExitCode, Report>>,
    {
        self.booted(|_, _, configuration, arguments, _| {
            let runtime = runtime()?;
            let code = runtime.block_on(async {
                let stop = CancellationToken::new();
                let mut signals = Signals::listen()?;
                let command = command(configuration, arguments, stop.clone());
                tokio::pin!(command);
                loop {
                    tokio::select! {
                        ended = &mut command => return ended,
                        _ = signals.next() => {
                            if stop.is_cancelled() {
                                return Ok(ExitCode::FAILURE);
                            }
                            stop.cancel();
                        }
                    }
                }
            });
            runtime.shutdown_background();
            code
        })
    }

    /// Boot steps 2 and 3, then `rest`.
    fn booted<C: Configuration>(
        self,
        rest: impl FnOnce(Descriptor, ConfigSource, C, A, Repeats) -> Result<ExitCode, Report>,
    ) -> ExitCode {
        // 2. Configuration: wrong means 64, before a port opens.
        let configuration: C = match self.source.load() {
            Ok(configuration) => configuration,
            Err(error) => return refuse(&error),
        };
        if self.check_config {
            return print(&configuration);
        }
        // 3. Logs; from here on everything is said there.
        let repeats = match logging::install(configuration.logging()) {
            Ok(repeats) => repeats,
            Err(error) => return refuse(&error),
        };
        let ended = rest(self.descriptor, self.source, configuration, self.arguments, repeats.clone());
        repeats.finish();
        ended.unwrap_or_else(|error| {
            tracing::error!(%error, "failed");
            ExitCode::FAILURE
        })
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Report> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("failed to build the runtime")
}

fn serve<C, A, F, Fut>(
    descriptor: Descriptor,
    source: ConfigSource,
    configuration: C,
    own: A,
    repeats: Repeats,
    start: F,
) -> Result<Outcome, Report>
where
    C: Configuration,
    F: FnOnce(C, A, Service) -> Fut,
    Fut: Future<Output = Result<(), Report>> + Send + 'static,
{
    tracing::info!(service = descriptor.name, version = descriptor.version, "starting");
    // 4. Metrics recorder, before anything makes a handle.
    let scrape = metrics::install(descriptor.name, descriptor.version)?;
    // 5. Runtime, with the signals caught from its first moment.
    let runtime = runtime()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    // 6. Admin server: unhealthy until `start` is through.
    let health = Health::new(descriptor.name, descriptor.version);
    let phase = health.check("service");
    phase.unhealthy("starting");
    let pages = Pages::default();
    let admin = Admin::start(configuration.admin(), health.clone(), pages.clone(), scrape, repeats)?;
    // 7. The service itself, until it is over.
    let grace = configuration.shutdown().grace.get();
    let shutdown = CancellationToken::new();
    let tasks = Tasks::new(runtime.handle().clone());
    let service = Service::new(tasks.clone(), health, pages, source, shutdown.clone());
    tasks.spawn("start".to_owned(), Role::Start, start(configuration, own, service));
    let outcome = runtime.block_on(supervise(&tasks, &shutdown, signals, &phase, grace));
    // 8. What is still alive is abandoned; the admin server stops last.
    runtime.shutdown_background();
    admin.stop();
    if outcome == Outcome::Drained {
        tracing::info!("stopped");
    }
    Ok(outcome)
}

fn environment() -> Environment {
    let text = |value: OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

fn print<C: Configuration>(configuration: &C) -> ExitCode {
    let text = match config::to_yaml(configuration) {
        Ok(text) => text,
        Err(error) => return refuse(&error),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn refuse(error: &(impl std::fmt::Display + ?Sized)) -> ExitCode {
    // Where standard error is closed, the exit code still says it.
    drop(writeln!(std::io::stderr(), "configuration error: {error}"));
    ExitCode::from(EXIT_CONFIGURATION)
}
