//! `collector record`: everything the exchanges send, as it came, into files (`docs/recording.md`). The state machines run, for they
//! say what to subscribe and ask for; what they emit is published only with `--publish`.

mod files;
mod metrics;
mod progress;
mod recorder;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use marketprism_exchanges::{Pressure, registry};
use marketprism_service::{CancellationToken, Context, Report, Service};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::board::Board;
use crate::clock;
use crate::config::Config;
use crate::connection::Shared;
use crate::exchange::Exchange;
use crate::missed::Abandoned;
use crate::proxy::Way;
use crate::queue;
use crate::rest::Hosts;
use crate::tap::Tap;
use files::Files;
use recorder::{Recorder, Tally};

/// Events between the sockets and the disk: two seconds of the busiest minute seen. More wait for nobody; they are counted, and
/// the recording says that they are missing.
const EVENTS_MAX: usize = 20_000;

/// What `collector record` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RecordArgs {
    /// Only these exchanges, by the keys they have in the configuration, such as `binance_spot`
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    exchange: Vec<String>,
    /// Folder of the recordings; the newest of them is continued
    #[arg(long, default_value = "recordings", value_name = "DIR")]
    out: PathBuf,
    /// Stop after this time, such as 10m; without it at SIGTERM
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Publish on NATS as well, as the service does
    #[arg(long)]
    pub(crate) publish: bool,
}

/// The thread that writes, and what it has written.
struct Writing {
    thread: JoinHandle<io::Result<()>>,
    tally: Arc<Tally>,
}

impl RecordArgs {
    /// Only the exchanges asked for.
    ///
    /// # Errors
    /// When one of them is not configured.
    pub(crate) fn restrict(&self, config: &mut Config) -> Result<(), Report> {
        for id in &self.exchange {
            if !config.exchanges.get(id).is_some_and(|exchange| exchange.enabled) {
                let enabled = config.exchanges.iter().filter(|(_, exchange)| exchange.enabled);
                let enabled: Vec<_> = enabled.map(|(id, _)| id.as_str()).collect();
                let known = enabled.join(", ");
                return Err(Report::message(format!("--exchange {id} is not enabled; enabled are {known}")));
            }
        }
        if !self.exchange.is_empty() {
            config.exchanges.retain(|id, _| self.exchange.contains(id));
        }
        Ok(())
    }

    /// Opens the folder and starts the writer; it ends when the last clone of the tap is dropped.
    fn begin(&self) -> Result<(Tap, Writing), Report> {
        let now = clock::now();
        let files = Files::open(&self.out, now)?;
        let (tap, recording) = Tap::open(EVENTS_MAX);
        let tally = Arc::<Tally>::default();
        let recorder = Recorder::new(files, now.as_micros().unsigned_abs());
        let (counts, runtime) = (tally.clone(), Handle::current());
        let thread = tokio::task::spawn_blocking(move || recorder.run(recording, &counts, &runtime));
        Ok((tap, Writing { thread, tally }))
    }

    /// Records beside a running service, whose connections must get the tap.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn beside(&self, service: &Service) -> Result<Tap, Report> {
        let (tap, writing) = self.begin()?;
        service.stage("recorder", writing.finish());
        let (time, ender) = (self.time, service.clone());
        service.source("recorded time", move |stop| async move {
            let elapsed = async { tokio::time::sleep(time.unwrap_or(Duration::MAX)).await };
            if stop.run_until_cancelled(elapsed).await.is_some() {
                ender.request_shutdown();
                stop.cancelled().await;
            }
            Ok(())
        });
        Ok(tap)
    }
}

impl Writing {
    async fn finish(self) -> Result<(), Report> {
        self.thread.await.context("the recorder died")?.context("failed to end the recording")
    }
}

/// Records without publishing: no broker is needed.
///
/// # Errors
/// When the folder cannot be written to, or an exchange's task died.
pub(crate) async fn run(
    mut config: Config,
    arguments: RecordArgs,
    stop: CancellationToken,
) -> Result<ExitCode, Report> {
    crate::install_tls();
    arguments.restrict(&mut config)?;
    let (tap, writing) = arguments.begin()?;
    let (queue, mut messages) = queue::queue(&config.queues);
    // Nobody is told of pressure: what is not published takes no memory.
    let (_level, pressure) = watch::channel(Pressure::None);
    let (queues, reconnect) = (config.queues, config.reconnect);
    let shared = Shared {
        queue,
        queues,
        pressure,
        board: Board::default(),
        reconnect,
        tap,
        abandoned: Abandoned::default(),
        shutdown: stop.clone(),
    };
    let mut unpublished = JoinSet::new();
    unpublished.spawn(async move { while messages.recv().await.is_some() {} });

    let hosts = Hosts::default();
    let mut exchanges = JoinSet::new();
    for (id, exchange) in config.exchanges.into_iter().filter(|(_, exchange)| exchange.enabled) {
        let Some(integration) = registry::find(&id) else { continue };
        let way = Way::new(exchange.proxy.as_ref().or(config.proxy.as_ref()));
        let exchange = Exchange::new(integration, exchange, way, &hosts, None, shared.clone()).context(id)?;
        let (orders, stop) = (mpsc::channel(1).1, stop.child_token());
        exchanges.spawn(async move { exchange.run(orders, stop).await });
    }
    drop(shared);

    let tally = writing.tally.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(arguments.time.unwrap_or(Duration::MAX)) => stop.cancel(),
        () = progress::show(&tally, arguments.time) => {}
        Some(ended) = exchanges.join_next() => ended.context("an exchange's task died")??,
    }
    while let Some(ended) = exchanges.join_next().await {
        ended.context("an exchange's task died")??;
    }
    writing.finish().await?;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (frames, bytes, lost) = (count(&tally.frames), count(&tally.bytes), count(&tally.lost));
    tracing::info!(folder = %arguments.out.display(), frames, bytes, lost, "recorded");
    Ok(ExitCode::SUCCESS)
}
