//! The run as a list: start, watch, stop in the order in which data flows, reconcile.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

use crate::failure::{Failure, io};
use crate::folder::Folder;
use crate::http::Http;
use crate::live::Screen;
use crate::measured::Before;
use crate::options::{Options, Restartable};
use crate::ports::Ports;
use crate::reconcile::{self, Reconciler, Tier, Verdict};
use crate::report;
use crate::sample::{History, Sample, sample};
use crate::settings::Subscription;
use crate::stack::{Blueprint, Stack};

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long both tiers may take to hold everything after the exchange fell silent.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);
/// Counts that stand still for this long will not grow any more: longer than hot-storage's `ack_wait`, after which the broker
/// delivers again what nobody acknowledged.
const SETTLED_AFTER: Duration = Duration::from_secs(40);

/// Runs the demo as asked.
pub async fn run(options: &Options) -> Result<Verdict, Failure> {
    // Before anything starts: a Ctrl-C from here on stops in order.
    let mut interrupt = Interrupt::new()?;
    // 1. One demo at a time.
    let folder = options.folder.clone().unwrap_or_else(|| options.servers.cache_folder().join("demo"));
    let folder = Folder::take(folder)?;
    eprintln!("logs, data and configuration: {}", folder.path().display());
    let nature = options.nature()?;
    let http = Http::new(folder.password())?;
    // 2. Broker, both tiers, exchange, streams; then the pipeline.
    let blueprint = Blueprint::new(Ports::choose(options.ports)?, &options.servers, options.simulator()?);
    let mut stack = Stack::start(blueprint, &folder, &http).await?;
    let subscription = if options.live {
        let markets = options.markets.iter().map(|market| (*market, Vec::new())).collect();
        Subscription { markets, trade_stream: None }
    } else {
        let trade_stream = nature.map(|nature| nature.trade_stream);
        Subscription { trade_stream, ..stack.subscription().await? }
    };
    stack.start_services(&folder, &subscription, options.book_publish_interval()).await?;
    // 3. Watch.
    let mut screen = Screen::new();
    let before = Before::now(&stack);
    watch(options, &mut stack, &http, &mut screen, &mut interrupt).await?;
    let mut measured = before.until_now(&stack);
    // 4. Stop in the order in which data flows, waiting for each tier.
    settle(options, &mut stack, &http, &mut screen).await?;
    // 5. Reconcile while both tiers still answer, then stop the rest.
    let hot = Tier { url: stack.hot_url(), database: "marketprism_hot" };
    let cold = Tier { url: stack.cold_url(), database: "marketprism_cold" };
    let verdict = if options.live {
        reconcile::stored_only(&http, &hot, &cold).await?
    } else {
        let (verdict, _) = Reconciler::new(http.clone(), folder.ledger(), hot, cold).compare().await?;
        verdict
    };
    if options.json {
        measured.ask_lag(&http, &stack.hot_url(), !options.replay.is_empty()).await?;
    }
    for stopped in stack.stop_all().await.iter().filter(|stopped| !stopped.clean) {
        screen.news(format!("{} did not stop cleanly", stopped.name));
    }
    println!("{}", report::table(&verdict, options.live));
    if options.json {
        println!("{}", report::json(&verdict, &measured));
    }
    Ok(verdict)
}

/// SIGINT and SIGTERM alike.
struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(io("listen for signals"));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Shows what flows until time is up, the replay is over, or somebody says stop.
async fn watch(
    options: &Options,
    stack: &mut Stack,
    http: &Http,
    screen: &mut Screen,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let began = Instant::now();
    let end = options.run_for.map(|run_for| began + run_for);
    let mut restarts = restart_times(options, began);
    let mut history = History::default();
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = interrupt.wait() => {
                screen.news("stopping: everything is drained and reconciled");
                return Ok(());
            }
            () = wait_until(end) => return Ok(()),
            _ = ticks.tick() => {}
        }
        for news in stack.revive()? {
            screen.news(news);
        }
        if restarts.first().is_some_and(|(at, _)| *at <= Instant::now()) {
            let (_, which) = restarts.remove(0);
            screen.news(stack.restart(which).await?);
        }
        let taken = sample(stack, http, options.live, !options.replay.is_empty()).await;
        let replay_done = taken.replay_done;
        history.push(taken);
        screen.draw(&history, stack);
        if replay_done {
            screen.news("the capture is at its end");
            return Ok(());
        }
    }
}

async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The restarts asked for, spread evenly over the run.
fn restart_times(options: &Options, began: Instant) -> Vec<(Instant, Restartable)> {
    let Some(run_for) = options.run_for else { return Vec::new() };
    let parts = u32::try_from(options.restart.len()).unwrap_or(u32::MAX).saturating_add(1);
    (1..).zip(&options.restart).map(|(number, which)| (began + run_for / parts * number, *which)).collect()
}

/// Silences the exchange, drains the collector, waits until nothing more arrives in either tier, then drains the writers.
async fn settle(
    options: &Options,
    stack: &mut Stack,
    http: &Http,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if !options.live {
        http.post(&format!("{}/control/pause", stack.simulator_url())).await?;
    }
    said(screen, stack, "collector").await;
    if !options.live {
        http.post(&format!("{}/control/flush", stack.simulator_url())).await?;
    }
    let began = Instant::now();
    let mut last: Option<(Instant, Sample)> = None;
    while began.elapsed() < SETTLE_PATIENCE {
        let taken = sample(stack, http, options.live, !options.replay.is_empty()).await;
        if taken.trouble.is_none() && is_settled(&taken) {
            break;
        }
        match &last {
            Some((since, before)) if same(before, &taken) => {
                if since.elapsed() > SETTLED_AFTER {
                    screen.news("the tiers stand still before they hold everything");
                    break;
                }
            }
            _ => last = Some((Instant::now(), taken)),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    screen.news(format!("both tiers settled in {:.1} s", began.elapsed().as_secs_f64()));
    said(screen, stack, "hot-storage").await;
    said(screen, stack, "cold-storage").await;
    Ok(())
}

fn is_settled(sample: &Sample) -> bool {
    sample.waiting == Some(0) && sample.rows.values().all(|counts| counts.cold >= counts.hot)
}

fn same(a: &Sample, b: &Sample) -> bool {
    let counts = |sample: &Sample| -> Vec<_> {
        sample.rows.iter().map(|(key, counts)| (key.clone(), counts.hot, counts.cold)).collect()
    };
    counts(a) == counts(b)
}

async fn said(screen: &mut Screen, stack: &mut Stack, name: &str) {
    if let Some(stopped) = stack.stop(name).await {
        let how = if stopped.clean { "drained" } else { "did not drain" };
        screen.news(format!("{name} {how} in {:.1} s", stopped.took.as_secs_f64()));
    }
}
