//! The smallest service: one source counts, one stage adds up. `--fault` makes it end in each of the wrong ways.
//!
//! `cargo run -p marketprism-service --example tiny -- --check-config`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marketprism_service::{
    AdminConfig, CancellationToken, ConfigError, Configuration, Context, Descriptor, HumanDuration,
    Invocation, LegacyVariable, LoggingConfig, Report, Secret, Service, ShutdownConfig,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

const DESCRIPTOR: Descriptor = Descriptor {
    name: "tiny",
    about: "Counts and adds up.",
    version: env!("CARGO_PKG_VERSION"),
    legacy_env: &[LegacyVariable { variable: "TINY_INTERVAL", key: "counter.interval" }],
};

/// Numbers waiting to be added: more than a slow stage needs to show that draining loses none of them.
const QUEUE_LENGTH: usize = 64;

fn main() -> ExitCode {
    let invocation = match Invocation::<TinyArgs>::parse(DESCRIPTOR) {
        Ok(invocation) => invocation,
        Err(code) => return code,
    };
    match invocation.arguments.command {
        Some(TinyCommand::Wait) => invocation.perform(wait),
        None => invocation.serve(start),
    }
}

/// Waits for the signal that ends it.
async fn wait(config: TinyConfig, _: TinyArgs, stop: CancellationToken) -> Result<ExitCode, Report> {
    tracing::info!(interval = %config.counter.interval, "waiting");
    stop.cancelled().await;
    Ok(ExitCode::from(3))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    StartFails,
    StartHangs,
    StagePanics,
    StageEnds,
    SourceFails,
    StageHangs,
    NoTasks,
    WorkersBlock,
}

#[derive(Debug, clap::Args)]
struct TinyArgs {
    /// Go wrong like this
    #[arg(long)]
    fault: Option<Fault>,
    /// Write `sent=N added=N` here when drained
    #[arg(long)]
    ledger: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<TinyCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum TinyCommand {
    /// Do nothing until a signal comes, then exit with 3
    Wait,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TinyConfig {
    logging: LoggingConfig,
    admin: AdminConfig,
    shutdown: ShutdownConfig,
    counter: CounterConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CounterConfig {
    /// Time between two numbers.
    interval: HumanDuration,
    /// Only here to show that it is never printed.
    password: Secret,
}

impl Default for CounterConfig {
    fn default() -> Self {
        Self { interval: HumanDuration::from_millis(1), password: Secret::default() }
    }
}

impl Configuration for TinyConfig {
    fn logging(&self) -> &LoggingConfig {
        &self.logging
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        match self.counter.interval.get() {
            Duration::ZERO => {
                Err(ConfigError::invalid("counter.interval", self.counter.interval, "must be above zero"))
            }
            _ => Ok(()),
        }
    }
}

async fn start(config: TinyConfig, args: TinyArgs, service: Service) -> Result<(), Report> {
    match args.fault {
        Some(Fault::StartFails) => {
            return Err(Report::message("nothing listens").context("failed to connect"));
        }
        Some(Fault::StartHangs) => std::future::pending::<()>().await,
        Some(Fault::NoTasks) => return Ok(()),
        Some(Fault::StagePanics) => service.stage("faulty", async { panicking() }),
        Some(Fault::StageEnds) => service.stage("faulty", async { Ok(()) }),
        Some(Fault::StageHangs) => service.stage("faulty", std::future::pending()),
        // More of them than the runtime has threads.
        Some(Fault::WorkersBlock) => (0..256).for_each(|_| service.stage("blocking", async { blocking() })),
        Some(Fault::SourceFails) => {
            service.source("faulty", |_| async { Err(Report::message("no such exchange")) });
        }
        None => {}
    }
    let (numbers, queue) = mpsc::channel(QUEUE_LENGTH);
    service.page("/sizes", |query| serde_json::json!({ "queue": QUEUE_LENGTH, "query": query }));
    let (source, mut reloads) = (service.config_source(), service.reloads()?);
    service.source("reloader", move |stop| async move {
        while stop.run_until_cancelled(reloads.next()).await.is_some() {
            match source.load::<TinyConfig>() {
                Ok(config) => tracing::info!(interval = %config.counter.interval, "reloaded"),
                Err(error) => tracing::error!(%error, "not reloaded"),
            }
        }
        Ok(())
    });
    let sent = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&sent);
    service.page("/sent", move |_| shown.load(Ordering::Relaxed).into());
    service.source("counter", move |token| count(numbers, sent, config.counter.interval.get(), token));
    service.stage("adder", add(queue, args.ledger));
    Ok(())
}

#[allow(clippy::panic, reason = "it is what --fault stage-panics asks for")]
fn panicking() -> Result<(), Report> {
    panic!("the books do not balance")
}

fn blocking() -> Result<(), Report> {
    loop {
        std::thread::park();
    }
}

async fn count(
    numbers: mpsc::Sender<u64>,
    sent: Arc<AtomicU64>,
    interval: Duration,
    token: CancellationToken,
) -> Result<(), Report> {
    let mut tick = tokio::time::interval(interval);
    for number in 1.. {
        tokio::select! {
            () = token.cancelled() => break,
            _ = tick.tick() => {
                numbers.send(number).await.context("failed to queue a number")?;
                sent.store(number, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

async fn add(mut queue: mpsc::Receiver<u64>, ledger: Option<PathBuf>) -> Result<(), Report> {
    let (mut last, mut added) = (0, 0_u64);
    while let Some(number) = queue.recv().await {
        // Slower than the source, so that the queue is full when shutdown begins.
        tokio::time::sleep(Duration::from_millis(2)).await;
        (last, added) = (number, added.saturating_add(1));
    }
    if let Some(path) = ledger {
        std::fs::write(&path, format!("sent={last} added={added}")).context("failed to write the ledger")?;
    }
    Ok(())
}
