//! The run as a list: start, round after round, prove the whole, stop.

use std::path::Path;
use std::time::Duration;

use marketprism_demo::failure::{Failure, io};
use marketprism_demo::folder::Folder;
use marketprism_demo::http::Http;
use marketprism_demo::options::Ports as Choice;
use marketprism_demo::ports::Ports;
use marketprism_demo::reconcile::{Reconciler, TABLES, Tier};
use marketprism_demo::stack::{Blueprint, COLD_STANDBY, HOT_STANDBY, Stack};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::links::Links;
use crate::options::Options;
use crate::plan;
use crate::report::Report;
use crate::round::Arena;
use crate::totals::Totals;

/// How often the collector publishes changed books.
const BOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Runs every round; true when nothing was lost or stored twice.
pub(crate) async fn run(options: &Options) -> Result<bool, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("listen for signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(io("listen for signals"))?;
    // Whatever ends this, the children are killed with what owns them.
    tokio::select! {
        done = rounds(options) => done,
        _ = interrupt.recv() => Err(Failure::Usage("interrupted".to_owned())),
        _ = terminate.recv() => Err(Failure::Usage("terminated".to_owned())),
    }
}

async fn rounds(options: &Options) -> Result<bool, Failure> {
    let folder = Folder::take(options.folder())?;
    eprintln!("logs, data and configuration: {}", folder.path().display());
    let http = Http::new(folder.password())?;
    let mut arena = start(options, &folder, &http).await?;
    let mut report = Report::default();
    for number in options.first..options.first.saturating_add(options.rounds) {
        let faults = plan::round(options.seed, number);
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        println!("round {number} of seed {}: {}", options.seed, told.join("; "));
        let outcome = arena.round(&faults, options.calm).await?;
        println!("  {outcome}, {} MiB on disk", disk_bytes(folder.path()) >> 20);
        let is_clean = outcome.findings.is_empty();
        report.add(&faults, outcome);
        if !is_clean {
            break;
        }
    }
    let doubts = arena.doubts().await?;
    report.finish(doubts);
    for stopped in arena.stack.stop_all().await.iter().filter(|stopped| !stopped.clean) {
        eprintln!("{} did not stop cleanly", stopped.name);
    }
    println!("{report}");
    if !report.is_clean() {
        println!("logs, data and the simulator's ledger of the failing round: {}", folder.path().display());
    }
    if options.json {
        println!("{}", report.json());
    }
    Ok(report.is_clean())
}

/// Starts everything, each connection of the pipeline through its own proxy.
async fn start(options: &Options, folder: &Folder, http: &Http) -> Result<Arena, Failure> {
    let ports = Ports::choose(Choice::Free)?;
    let mut blueprint = Blueprint::new(ports, &options.servers, Some(options.simulator()));
    let links = Links::start(&ports).await;
    blueprint.detours = links.detours(&ports)?;
    // What a dead instance held comes again, and the other one takes over, soon enough for a round of seconds.
    let hot = json!({
        "ack_wait": "5s",
        "clickhouse": { "insert_timeout": "2s" },
        "retry": { "max": "1s" },
    });
    let cold = json!({ "cold": { "insert_timeout": "2s" }, "replication": { "takeover_after": "5s" } });
    blueprint.overrides = [
        // What is told rarely is told often, so that a round that ends soon has seen it again.
        ("exchange-simulator", json!({ "cadence": { "funding_rate": "1s", "open_interest": "1s" } })),
        ("hot-storage", hot.clone()),
        (HOT_STANDBY, hot),
        ("cold-storage", cold.clone()),
        (COLD_STANDBY, cold),
    ]
    .into();
    blueprint.standbys = true;
    let mut stack = Stack::start(blueprint, folder, http).await?;
    let subscription = stack.subscription().await?;
    stack.start_services(folder, &subscription, BOOK_INTERVAL).await?;
    let hot = Tier { url: stack.hot_url(), database: "marketprism_hot" };
    let cold = Tier { url: stack.cold_url(), database: "marketprism_cold" };
    let reconciler = Reconciler::new(http.clone(), folder.ledger(), hot.clone(), cold.clone());
    Ok(Arena {
        stack,
        links,
        http: http.clone(),
        hot,
        cold,
        reconciler,
        totals: Totals::default(),
        markets: options.markets.iter().map(|market| market.word()).collect(),
        streams: 0,
    })
}

impl Arena {
    /// At the end, over every row: whether a message is in a table twice.
    async fn doubts(&self) -> Result<Vec<String>, Failure> {
        let mut doubts = Vec::new();
        for tier in [&self.hot, &self.cold] {
            for (table, _) in TABLES {
                let sql = format!(
                    "SELECT count() - uniqExact(stream_epoch, stream_seq) FROM {}.{table}",
                    tier.database
                );
                self.http
                    .query(&tier.url, &sql, |line| {
                        if line.trim() != "0" {
                            doubts.push(format!("duplicated: {line} rows of {}.{table}", tier.database));
                        }
                    })
                    .await?;
            }
        }
        Ok(doubts)
    }
}

/// Bytes below a folder, as far as they can be read.
fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
