//! `collector record` beside a simulated exchange, and what its files give when they are replayed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use marketprism_recording::{Reader, What};
use marketprism_testkit::{Process, binary};
use serde_json::{Value, json};

use crate::rig::{Rig, broker, read_streams};

/// Every market, each with two symbols and everything it offers.
async fn rig() -> Rig {
    let all = || json!({ "symbols": "all" });
    let exchanges = json!({
        "binance_spot": all(), "binance_usdm": all(), "okx_spot": all(), "okx_swap": all(), "deribit": all(),
    });
    let markets = "binance_spot,binance_usdm,okx_spot,okx_swap,deribit";
    Rig::launch(&["--rate", "300", "--symbols", "2", "--markets", markets], exchanges, |_| {}).await
}

/// Records with the rig's configuration until it ends by itself.
fn record(rig: &Rig, folder: &Path, arguments: &[&str], change: impl FnOnce(&mut Value)) {
    let mut config = rig.config().clone();
    config["admin"]["addresses_file"] = json!(folder.join("addresses.json"));
    change(&mut config);
    let path = folder.join("record.yaml");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut command = Command::new(binary("marketprism-collector"));
    command.args(["record", "--for", "10s", "--out"]).arg(folder.join("recordings")).args(arguments);
    command.arg("--config").arg(path);
    let mut recorder = Process::spawn("recorder", command, &folder.join("record.log"));
    let status = recorder.wait();
    assert!(status.success(), "{}", recorder.log());
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("recordings")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(files: &[PathBuf], arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("marketprism-collector"));
    command.arg("replay").args(arguments).args(files).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without its times, where they are those of a clock tick and not of an event.
fn comparable(mut message: Value) -> String {
    if message["data_type"] == "gap" {
        for field in ["ts_event_us", "ts_recv_us", "to_time_us"] {
            message[field] = Value::Null;
        }
    }
    message.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_prints_what_was_published() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    // A broker of its own: the rig's collector publishes the same events.
    let (nats, bus) = broker().await;
    record(&rig, folder.path(), &["--publish"], |config| config["nats"]["url"] = json!(nats.url()));

    let mut published: Vec<_> =
        read_streams(&bus).await.into_iter().map(|(_, message)| comparable(message)).collect();
    let replayed = replay(&recordings(folder.path()), &[]);
    let mut replayed: Vec<_> = lines(&replayed).into_iter().map(comparable).collect();
    published.sort();
    replayed.sort();
    assert!(published.len() > 500, "{}", published.len());
    let missing: Vec<_> =
        published.iter().filter(|message| replayed.binary_search(message).is_err()).collect();
    let more: Vec<_> = replayed.iter().filter(|message| published.binary_search(message).is_err()).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing {missing:#?}, more {more:#?}");
    assert_eq!(published.len(), replayed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_recorded_and_no_broker_is_needed() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let nobody = |config: &mut Value| config["nats"]["url"] = json!("nats://127.0.0.1:1");
    record(&rig, folder.path(), &["--exchange", "okx_swap"], nobody);
    let files = recordings(folder.path());
    assert_eq!(files.len(), 1);
    let mut reader = Reader::new(std::fs::File::open(&files[0]).unwrap()).unwrap();
    let (mut frames, mut answers) = (0, 0);
    while let Some(record) = reader.next_record().unwrap() {
        assert_eq!(record.integration, "okx_swap");
        frames += u32::from(matches!(record.what, What::Frame { .. }));
        answers += u32::from(matches!(record.what, What::Answer { .. }));
    }
    assert!(frames > 100 && answers >= 2, "{frames} frames, {answers} answers");

    // A second run continues the file, and is a session of its own.
    record(&rig, folder.path(), &["--exchange", "okx_swap"], nobody);
    assert_eq!(recordings(folder.path()), files);
    let summary = lines(&replay(&files, &["--stats"])).remove(0);
    assert!(summary["frames"].as_u64().unwrap() > u64::from(frames), "{summary}");
    assert_eq!((&summary["resyncs"], &summary["messages"]["gap"]), (&json!(0), &Value::Null), "{summary}");

    // Cut off anywhere, it gives what is whole.
    let bytes = std::fs::read(&files[0]).unwrap();
    let cut = folder.path().join("cut.mprec");
    std::fs::write(&cut, &bytes[..bytes.len() - 10]).unwrap();
    let output = replay(&[cut], &["--stats"]);
    let summary = lines(&output).remove(0);
    assert_eq!(summary["cuts"].as_array().unwrap().len(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut off at byte"));
}
