//! What a busy collector needs: three exchanges, fifty symbols each, every message of them for a minute. Prints memory,
//! processor time, sockets and descriptors; fails when the resident memory was ever above its target.
//!
//! `cargo xtask bench footprint [MESSAGES_PER_SECOND]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::float_arithmetic,
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

const RATE: u64 = 20_000;
const DURATION: Duration = Duration::from_secs(60);
/// Fifty symbols with trades and books each, of three exchanges.
const STREAMS_MIN: u64 = 300;
/// Each is asked for its instruments, then for the books' snapshots, as fast as its limits allow.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// Figures are printed this often.
const STEP: Duration = Duration::from_secs(10);
/// The target of a collector of three exchanges with fifty symbols each.
const RSS_KIB_MAX: u64 = 150 << 10;
/// Of the kernel's clock, in which processor time is told.
const TICKS_PER_SECOND: f64 = 100.0;

/// A field of `/proc/{pid}/status`, as a number.
fn status_of(rig: &Rig, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.collector.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Processor time used so far, in seconds.
fn cpu_seconds(rig: &Rig) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", rig.collector.pid())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // The 14th and 15th of all, user and system, counted from the name's end.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_PER_SECOND
}

#[tokio::main]
async fn main() {
    let rate = std::env::args().nth(1).map_or(RATE, |argument| argument.parse().unwrap());
    let exchanges = json!({
        "binance_spot": { "symbols": "all" },
        "okx_swap": { "symbols": "all", "market_types": ["perpetual"] },
        "deribit": { "symbols": "all", "market_types": ["perpetual"] },
    });
    let arguments = ["--markets", "binance_spot,okx_swap,deribit", "--symbols", "50"];
    let rate_text = rate.to_string();
    let arguments = [arguments.as_slice(), &["--rate", &rate_text]].concat();
    let rig = Rig::launch(&arguments, exchanges, |config| {
        // Books every second, as is the default.
        for exchange in ["binance_spot", "okx_swap", "deribit"] {
            config["exchanges"][exchange].as_object_mut().unwrap().remove("orderbook");
        }
    })
    .await;
    let live = async || {
        let text = rig.metrics().await;
        let lines = text.lines().filter(|line| {
            line.starts_with("marketprism_collector_streams{") && line.contains("state=\"live\"")
        });
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    poll_until(START_DEADLINE, "trades and books of all flow", async || live().await >= STREAMS_MIN).await;
    let frames = async || rig.metric("marketprism_collector_frames_received_total").await;
    println!(
        "{:>8} {:>10} {:>9} {:>8} {:>12} {:>7}",
        "seconds", "frames/s", "RSS KiB", "sockets", "descriptors", "CPU %"
    );
    let began = Instant::now();
    let (mut then, mut frames_then, mut cpu_then) = (began, frames().await, cpu_seconds(&rig));
    let (frames_first, cpu_first) = (frames_then, cpu_then);
    while began.elapsed() < DURATION {
        tokio::time::sleep(STEP).await;
        let (now, frames_now, cpu_now) = (Instant::now(), frames().await, cpu_seconds(&rig));
        let seconds = now.duration_since(then).as_secs_f64();
        println!(
            "{:>8} {:>10.0} {:>9} {:>8} {:>12} {:>7.1}",
            began.elapsed().as_secs(),
            (frames_now - frames_then) as f64 / seconds,
            status_of(&rig, "VmRSS:"),
            rig.metric("collector_tcp_connections").await,
            rig.metric("collector_file_descriptors").await,
            (cpu_now - cpu_then) / seconds * 100.0
        );
        (then, frames_then, cpu_then) = (now, frames_now, cpu_now);
    }
    let (peak_kib, streams) = (status_of(&rig, "VmHWM:"), live().await);
    let seconds = then.duration_since(began).as_secs_f64();
    let (rate_seen, cpu) = ((frames_then - frames_first) as f64 / seconds, (cpu_then - cpu_first) / seconds);
    println!("{:<24} {:>10} {:>10}", "", "measured", "target");
    println!("{:<24} {streams:>10} {STREAMS_MIN:>10}", "live streams");
    println!("{:<24} {rate_seen:>10.0} {rate:>10}", "frames/s");
    println!("{:<24} {peak_kib:>10} {RSS_KIB_MAX:>10}", "most memory, RSS KiB");
    println!("{:<24} {:>10.1} {:>10}", "CPU, % of a core", cpu * 100.0, "-");
    println!("{:<24} {:>10} {:>10}", "descriptors", rig.metric("collector_file_descriptors").await, "-");
    assert!(peak_kib <= RSS_KIB_MAX, "more than {RSS_KIB_MAX} KiB");
}
