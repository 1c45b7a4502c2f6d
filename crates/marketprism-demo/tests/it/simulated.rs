//! Against the simulated exchange.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::runs::{command, demo};

#[test]
fn everything_is_stored_once_though_each_service_restarts() {
    let run = demo(&["--for", "16s", "--rate", "500", "--restart", "collector,hot-storage,cold-storage"]);
    run.assert_clean();
    assert_eq!(run.text.matches("restarted by SIGTERM: drained").count(), 3, "{}", run.text);
    assert!(run.count("trade", "compared") >= 2 * run.count("trade", "sent"), "{}", run.text);
    assert!(run.count("orderbook", "compared") > 100, "{}", run.text);
}

#[test]
fn a_second_demo_in_the_same_folder_is_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = command(folder.path(), &["--ports", "free"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(first.stderr.take().unwrap()).lines();
    said.next().unwrap().unwrap();
    let second = command(folder.path(), &["--ports", "free"]).output().unwrap();
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    // The first one is stopped before anything is asserted, so that it does not outlive a failure.
    let ready = said.by_ref().map_while(Result::ok).any(|line| line.contains("collector"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    said.for_each(drop);
    first.wait().unwrap();
    assert!(ready, "the first demo started");
    assert_eq!(second.status.code(), Some(2));
    assert!(error.contains(&format!("a demo runs already (process {}", first.id())), "{error}");
}

#[test]
fn what_cannot_be_combined_is_said() {
    let run = demo(&["--live", "--replay", "x", "--format", "hbt"]);
    assert_eq!(run.code, Some(2));
    assert!(run.text.contains("cannot be used with"), "{}", run.text);
    let run = demo(&["--replay", "no-such-file", "--format", "hbt"]);
    assert_eq!(run.code, Some(2));
    assert!(run.text.contains("no-such-file"), "{}", run.text);
}
