//! The run as a list: start, watch, stop in the order in which data flows, reconcile.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, io};
use crate::folder::Folder;
use crate::http::Http;
use crate::live::result_columns;
use crate::measured::Before;
use crate::options::Options;
use crate::ports::Ports;
use crate::reconcile::{self, Reconciler, Tier, Verdict};
use crate::report;
use crate::settings::Subscription;
use crate::stack::{Blueprint, Stack};
use crate::watch::Watch;

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
    let ports = Ports::choose(options.ports)?;
    let blueprint = Blueprint::new(ports, &options.servers, options.simulator()?);
    let mut stack = Stack::start(blueprint, &folder, &http).await?;
    let subscription = if options.live {
        let markets = options.markets.iter().map(|market| (*market, Vec::new())).collect();
        Subscription { markets, trade_stream: None }
    } else {
        let trade_stream = nature.map(|nature| nature.trade_stream);
        Subscription { trade_stream, ..stack.subscription().await? }
    };
    stack.start_services(&folder, &subscription, options.book_publish_interval()).await?;
    // 3. Watch: in a browser, in a shell, here.
    let mut watch = Watch::new(options, &http);
    if !options.no_console {
        watch.open_console(&ports, &folder).await;
    }
    watch.introduce(&ports, &folder);
    let before = Before::now(&stack);
    watch.until_the_end(&mut stack, &mut interrupt).await?;
    let mut measured = before.until_now(&stack);
    // 4. Stop in the order in which data flows, waiting for each tier.
    watch.settle(&mut stack).await?;
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
    let mut stopped: Vec<_> = watch.close_console().await.into_iter().collect();
    stopped.extend(stack.stop_all().await);
    for stopped in stopped.iter().filter(|stopped| !stopped.clean) {
        watch.screen.news(format!("{} did not stop cleanly", stopped.name));
    }
    println!("{}", report::table(&verdict, options.live, options.details, result_columns(options.details)));
    if options.json {
        println!("{}", report::json(&verdict, &measured));
    }
    Ok(verdict)
}

/// SIGINT and SIGTERM alike.
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(io("listen for signals"));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
