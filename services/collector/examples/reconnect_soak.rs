//! Ten thousand forced reconnects of a real collector: sockets, descriptors, threads, tasks and memory must end where they
//! began. Prints them at the start, after each thousand and at the end; fails when they grew.
//!
//! `cargo run -p marketprism-collector --example reconnect_soak -- [RECONNECTS]`, after building collector and simulator
//! in the same profile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../tests/it/rig.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod rig;

use std::time::{Duration, Instant};

use marketprism_testkit::poll_until;
use serde_json::json;

use rig::Rig;

const RECONNECTS: u64 = 10_000;
/// Figures are printed this often.
const STEP: u64 = 1_000;
/// All sockets are open again within this.
const ROUND_DEADLINE: Duration = Duration::from_secs(30);
/// Requests still under way at the end, and REST's idle connections, are gone within this.
const SETTLE_DEADLINE: Duration = Duration::from_secs(30);
/// REST keeps up to four idle connections of each exchange for reuse, with a task each, and the run-time a thread for names.
const POOLED_MAX: u64 = 8;
/// Memory may be so much more at the end than after the first step: books come and go, and the allocator keeps pages.
const RSS_GROWTH_KIB_MAX: u64 = 16 << 10;

/// What must not grow.
#[derive(Debug, Clone, Copy)]
struct Figures {
    sockets: usize,
    descriptors: usize,
    threads: u64,
    tasks: u64,
    rss_kib: u64,
}

impl Figures {
    async fn of(rig: &Rig) -> Self {
        let process = format!("/proc/{}", rig.collector.pid());
        let links = std::fs::read_dir(format!("{process}/fd")).unwrap().filter_map(|entry| {
            // A descriptor may be closed while they are listed.
            std::fs::read_link(entry.ok()?.path()).ok()
        });
        let links: Vec<_> = links.collect();
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Self {
            sockets: links.iter().filter(|link| link.to_string_lossy().starts_with("socket:")).count(),
            descriptors: links.len(),
            threads: field("Threads:"),
            tasks: rig.metric("marketprism_collector_tasks").await,
            rss_kib: field("VmRSS:"),
        }
    }

    fn print(self, reconnects: u64, seconds: u64) {
        let Self { sockets, descriptors, threads, tasks, rss_kib } = self;
        println!(
            "{reconnects:>10} {seconds:>8} {sockets:>8} {descriptors:>12} {threads:>8} {tasks:>6} {rss_kib:>9}"
        );
    }

    /// What grew since `before`.
    fn grown(self, before: Self, warm: Self) -> Vec<String> {
        let counts = [
            ("sockets", before.sockets as u64, self.sockets as u64, POOLED_MAX),
            ("descriptors", before.descriptors as u64, self.descriptors as u64, POOLED_MAX),
            ("threads", before.threads, self.threads, POOLED_MAX),
            ("tasks", before.tasks, self.tasks, POOLED_MAX),
            ("RSS in KiB", warm.rss_kib, self.rss_kib, RSS_GROWTH_KIB_MAX),
        ];
        let grown = counts.iter().filter(|(_, before, after, growth_max)| *after > before + growth_max);
        grown.map(|(name, before, after, _)| format!("{name} grew from {before} to {after}")).collect()
    }
}

/// Sockets that are open now.
async fn connected(rig: &Rig) -> u64 {
    rig.status().await["connections"].as_u64().unwrap()
}

#[tokio::main]
async fn main() {
    let wanted = std::env::args().nth(1).map_or(RECONNECTS, |argument| argument.parse().unwrap());
    let exchanges = json!({
        "binance_spot": { "symbols": "all", "streams_per_connection_max": 2 },
        "binance_usdm": {
            "symbols": "all",
            "market_types": ["perpetual"],
            "data_types": ["trade", "orderbook"],
            "streams_per_connection_max": 1,
        },
    });
    let rig = Rig::launch(&["--rate", "200", "--symbols", "8"], exchanges, |config| {
        config["reconnect"] = json!({ "first": "5ms", "max": "50ms", "stable_after": "1ms" });
        for exchange in ["binance_spot", "binance_usdm"] {
            config["exchanges"][exchange]["connects_per_minute_max"] = json!(1_000_000);
        }
    })
    .await;
    rig.flowing().await;
    let sockets = connected(&rig).await;
    let began = Instant::now();
    println!(
        "{:>10} {:>8} {:>8} {:>12} {:>8} {:>6} {:>9}",
        "reconnects", "seconds", "sockets", "descriptors", "threads", "tasks", "RSS KiB"
    );
    let before = Figures::of(&rig).await;
    before.print(0, 0);
    let (mut reconnects, mut printed, mut warm) = (0, 0, before);
    while reconnects < wanted {
        rig.control("fault", &json!({ "fault": "disconnect" })).await;
        let first = rig.metric("marketprism_collector_connects_total").await;
        poll_until(ROUND_DEADLINE, "every socket is open again", async || connected(&rig).await >= sockets)
            .await;
        reconnects = rig.metric("marketprism_collector_connects_total").await.max(first) - sockets;
        if reconnects - printed >= STEP && reconnects < wanted {
            let now = Figures::of(&rig).await;
            now.print(reconnects, began.elapsed().as_secs());
            if printed == 0 {
                warm = now;
            }
            printed = reconnects;
        }
    }
    // What was under way when the last sockets opened has its time to end.
    let deadline = Instant::now() + SETTLE_DEADLINE;
    let (after, grown) = loop {
        let after = Figures::of(&rig).await;
        let grown = after.grown(before, warm);
        if grown.is_empty() || Instant::now() > deadline {
            break (after, grown);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    after.print(reconnects, began.elapsed().as_secs());
    assert!(grown.is_empty(), "{}", grown.join("; "));
    rig.flowing().await;
    println!("nothing grew, and every stream flows");
}
