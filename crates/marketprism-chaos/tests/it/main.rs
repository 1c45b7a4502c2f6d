//! A short run of everything, as CI can afford it: real binaries, real broker, real engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::process::{Command, Output};

use marketprism_testkit::{binary, libchdb, nats_server_executable};
use serde_json::Value;

#[test]
fn nothing_is_lost_or_doubled_in_three_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("marketprism-chaos"));
    command.args(["--rounds", "3", "--seed", "4", "--rate", "400", "--symbols", "2", "--json", "--folder"]);
    command.arg(folder.path());
    command.env("MARKETPRISM_NATS_SERVER", nats_server_executable()).env("LIBCHDB", libchdb());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout);
    assert_eq!(status.code(), Some(0), "{text}");
    let result: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(result["rounds"], 3, "{text}");
    assert!(result["events_sent"].as_u64().unwrap() > 1_000, "{text}");
    assert_eq!((&result["lost"], &result["duplicated"]), (&0.into(), &0.into()), "{text}");
}
