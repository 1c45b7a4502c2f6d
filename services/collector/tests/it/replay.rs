//! `collector replay` as a user calls it, over captures of our own and over those of others where they are there.

use std::path::PathBuf;
use std::process::{Command, Output};

use marketprism_testkit::{binary, captures_dir};
use serde_json::Value;

fn replay(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(binary("marketprism-collector"));
    command.arg("replay").args(arguments).args(files).output().unwrap()
}

const CAPTURE: &str = r#"1700000000000000000 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000100,"s":"BTCUSDT","U":11,"u":13,"b":[["40000.10","1"]],"a":[]}}
1700000000100000000 {"lastUpdateId":12,"bids":[["40000.00","2"]],"asks":[["40001.00","3"]]}
1700000000200000000 {"stream":"btcusdt@trade","data":{"e":"trade","E":1700000000201,"s":"BTCUSDT","t":7,"p":"40000.10","q":"0.5","T":1700000000200,"m":true,"M":true}}
1700000000300000000 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000300,"s":"BTCUSDT","U":14,"u":15,"b":[["40000.10","0"]],"a":[["40000.90","4"]]}}
no line of this format
1700000000400000000 {"stream":"btcusdt@kline_1m","data":{}}
"#;

fn capture(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let path = folder.path().join("btcusdt_20231114");
    std::fs::write(&path, CAPTURE).unwrap();
    vec![path]
}

const HBT: [&str; 6] = ["--exchange", "binance", "--market", "spot", "--format", "hbt"];

#[test]
fn messages_are_lines_on_standard_output_and_the_summary_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let output = replay(&[&HBT[..], &["--book-depth", "1"]].concat(), &capture(&folder));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["data_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["orderbook", "trade", "orderbook"]);
    assert_eq!(lines[1]["trade_id"], "7");
    assert_eq!(lines[1]["ts_recv_us"], 1_700_000_000_200_000_i64);
    assert_eq!(lines[2]["bids"], serde_json::json!([["40000.00", "2"]]));
    assert_eq!(lines[2]["asks"], serde_json::json!([["40000.90", "4"]]));
    let summary = String::from_utf8(output.stderr).unwrap();
    for part in ["frames: 4 ", "trade 1, orderbook 2", "rejected: unknown_event 1", "none of the format's: 1"]
    {
        assert!(summary.contains(part), "{part} in {summary}");
    }
}

#[test]
fn what_cannot_be_read_or_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = capture(&folder);
    let error = |arguments: &[&str], files: &[PathBuf]| {
        let output = replay(arguments, files);
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&HBT, &[folder.path().join("nothing")]).contains("nothing"));
    assert!(error(&["--format", "hbt"], &files).contains("exchange and market must be given"));
    assert!(error(&[], &files).contains("no block of a MarketPrism recording begins so"));
    let unknown = ["--exchange", "binance", "--market", "options", "--format", "hbt"];
    assert!(error(&unknown, &files).contains("known: binance spot"));
    assert!(
        error(&[&HBT[..], &["--at", "often"]].concat(), &files).contains("neither `updates` nor an interval")
    );
}

/// Exchange, market, format, trade stream, files, and the frames in them.
type Run = (&'static str, &'static str, &'static str, &'static str, Vec<String>, u64);

/// Each capture by the command that its documentation names: nothing is missing, no book ever breaks.
#[test]
fn every_capture_replays_whole() {
    let Some(folder) = captures_dir() else {
        println!("skipped: no captures (set MARKETPRISM_CAPTURES)");
        return;
    };
    let (hbt, cryptofeed) = ("nkaz001__hftbacktest", "bmoscon__cryptofeed");
    let (older, newer) = ("2021-11-03_3baf9c56", "2022-06-25_0148f9d6");
    let okx = |number: u8| format!("{cryptofeed}/{older}/OKEX.ws.{number}.0");
    let one = |path: String| vec![path];
    let runs: Vec<Run> = vec![
        (
            "binance",
            "spot",
            "hbt",
            "trade",
            vec![format!("{hbt}/spot/ethusdt_20240808.gz"), format!("{hbt}/spot/ethusdt_20240809.gz")],
            79_743,
        ),
        ("binance", "perpetual", "hbt", "trade", one(format!("{hbt}/usdm/ethusdt_20240808.gz")), 74_654),
        (
            "binance",
            "perpetual",
            "hbt",
            "trade",
            vec![format!("{hbt}/usdm/btcusdt_20240718.gz"), format!("{hbt}/usdm/btcusdt_20240719.gz")],
            71_983,
        ),
        (
            "binance",
            "spot",
            "cryptofeed",
            "aggTrade",
            one(format!("{cryptofeed}/2021-04-04_29970208/BINANCE-ee25be.0")),
            4_716,
        ),
        (
            "binance",
            "spot",
            "cryptofeed",
            "aggTrade",
            one(format!("{cryptofeed}/{older}/BINANCE.ws.1.0")),
            265,
        ),
        (
            "binance",
            "perpetual",
            "cryptofeed",
            "aggTrade",
            one(format!("{cryptofeed}/{older}/BINANCE_FUTURES.ws.1.0")),
            1_535,
        ),
        ("okx", "spot", "cryptofeed", "", one(okx(1)), 1_616),
        ("okx", "spot", "cryptofeed", "", one(okx(2)), 1_559),
        ("okx", "perpetual", "cryptofeed", "", one(okx(3)), 1_534),
        ("okx", "futures", "cryptofeed", "", one(format!("{cryptofeed}/{newer}/OKX.ws.1.0")), 410),
        ("deribit", "options", "cryptofeed", "", one(format!("{cryptofeed}/{older}/DERIBIT.ws.1.0")), 136),
    ];
    for (exchange, market, format, trade_stream, files, frames) in runs {
        let files: Vec<_> = files.iter().map(|file| folder.join(file)).collect();
        let mut arguments =
            vec!["--exchange", exchange, "--market", market, "--format", format, "--stats", "--at", "1s"];
        if !trade_stream.is_empty() {
            arguments.extend(["--trade-stream", trade_stream]);
        }
        let output = replay(&arguments, &files);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["frames"], frames, "{files:?}");
        assert_eq!((&summary["resyncs"], &summary["malformed"]), (&0.into(), &0.into()), "{summary}");
        assert_eq!(summary["messages"].get("gap"), None, "{summary}");
        assert!(summary["book_updates"].as_u64() > Some(0), "{summary}");
    }
}
