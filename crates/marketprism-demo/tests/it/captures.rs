//! Against recorded exchanges: what other people captured, served as if it were live. Skipped, and said so, without them.

use std::path::PathBuf;

use marketprism_testkit::captures_dir;

use crate::runs::{Run, demo};

fn replay(format: &str, files: &[&str]) -> Option<Run> {
    let Some(folder) = captures_dir() else {
        println!("skipped: no captures (MARKETPRISM_CAPTURES)");
        return None;
    };
    let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    let mut arguments = vec!["--format", format, "--speed", "max", "--replay"];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    let run = demo(&arguments);
    run.assert_clean();
    Some(run)
}

/// First and last trade id, and ids missing between, of the only stream.
fn ids(run: &Run) -> (u64, u64, u64) {
    let ids = &run.result["trade_ids"];
    assert_eq!(ids.as_array().unwrap().len(), 1, "{}", run.text);
    let field = |name: &str| ids[0][name].as_u64().unwrap();
    (field("first"), field("last"), field("missing"))
}

#[test]
fn spot_ethusdt_of_2024() {
    let spot = "nkaz001__hftbacktest/spot";
    let files = [format!("{spot}/ethusdt_20240808.gz"), format!("{spot}/ethusdt_20240809.gz")];
    let Some(run) = replay("hbt", &[&files[0], &files[1]]) else { return };
    assert_eq!(run.count("trade", "sent"), 14_515);
    assert_eq!(ids(&run), (1_520_538_925, 1_520_553_439, 0));
    // Our book against the capture's bookTicker at the same update id, in both tiers. At this speed the queue to the broker
    // fills, and books are published more rarely.
    assert!(run.count("orderbook", "compared") > 300, "{}", run.text);
}

#[test]
fn usdm_btcusdt_of_2024() {
    let usdm = "nkaz001__hftbacktest/usdm";
    let files = [format!("{usdm}/btcusdt_20240718.gz"), format!("{usdm}/btcusdt_20240719.gz")];
    let Some(run) = replay("hbt", &[&files[0], &files[1]]) else { return };
    assert_eq!(run.count("trade", "sent"), 10_701);
    assert_eq!(ids(&run), (5_182_005_737, 5_182_016_437, 0));
    assert!(run.count("orderbook", "compared") > 300, "{}", run.text);
}

#[test]
fn the_cryptofeed_captures_of_binance() {
    // A capture of a second may be over before its first book is published, so not each of them has one to compare.
    let mut compared = 0;
    for file in [
        "bmoscon__cryptofeed/2021-04-04_29970208/BINANCE-ee25be.0",
        "bmoscon__cryptofeed/2021-11-03_3baf9c56/BINANCE.ws.1.0",
        "bmoscon__cryptofeed/2021-11-03_3baf9c56/BINANCE_FUTURES.ws.1.0",
    ] {
        let Some(run) = replay("cryptofeed", &[file]) else { return };
        compared += run.count("orderbook", "compared");
        println!("{file}: {} trades, {compared} books compared so far", run.count("trade", "sent"));
    }
    assert!(compared > 0, "no book was compared");
}
