//! Every way a service ends, and its exit code.

use nix::sys::signal::Signal;

use crate::process::{Tiny, poll};

/// How a service with this fault ends, and its log.
fn ending(fault: &str) -> (Option<i32>, String) {
    let mut tiny = Tiny::spawn(&["--fault", fault], &[]);
    (tiny.wait().code(), tiny.log())
}

#[test]
fn sigterm_and_sigint_drain_what_is_queued_and_exit_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut tiny = Tiny::start(&[], &[]);
        tiny.wait_until_healthy();
        poll("the first numbers", || tiny.get("health", "/sent").1.parse::<u64>().is_ok_and(|sent| sent > 0));
        tiny.signal(signal);
        assert_eq!(tiny.wait().code(), Some(0), "{}", tiny.log());
        let ledger = tiny.ledger().unwrap();
        let (sent, added) = ledger.split_once(' ').unwrap();
        let (sent, added) = (sent.strip_prefix("sent=").unwrap(), added.strip_prefix("added=").unwrap());
        assert_eq!(sent, added, "every number that was sent was added");
        assert_ne!(sent, "0");
    }
}

#[test]
fn a_service_without_tasks_ends_when_start_does() {
    let (code, log) = ending("no-tasks");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_failed_start_is_printed_with_its_whole_chain() {
    let (code, log) = ending("start-fails");
    assert_eq!(code, Some(1));
    assert!(log.contains("failed to connect: nothing listens"), "{log}");
}

#[test]
fn a_start_that_waits_is_interrupted_by_a_signal_and_was_unhealthy() {
    let mut tiny = Tiny::start(&["--fault", "start-hangs"], &[("MARKETPRISM__SHUTDOWN__GRACE", "1h")]);
    let (status, body) = tiny.get("health", "/health");
    assert!(status.contains("503") && body.contains("starting"), "{status} {body}");
    tiny.signal(Signal::SIGTERM);
    assert_eq!(tiny.wait().code(), Some(1));
    assert!(tiny.log().contains("interrupted before it was through"), "{}", tiny.log());
}

#[test]
fn a_panic_of_a_stage_ends_the_process_and_is_named() {
    let (code, log) = ending("stage-panics");
    assert_eq!(code, Some(1));
    assert!(
        log.contains("stage faulty failed") && log.contains("panicked: the books do not balance"),
        "{log}"
    );
    assert!(log.contains("tiny.rs"), "the panic's place is logged: {log}");
}

#[test]
fn a_stage_that_ends_early_ends_the_process_after_the_rest_drained() {
    let mut tiny = Tiny::spawn(&["--fault", "stage-ends"], &[]);
    assert_eq!(tiny.wait().code(), Some(1));
    assert!(tiny.log().contains("stage faulty ended although nobody asked it to"), "{}", tiny.log());
    assert!(tiny.ledger().is_some(), "the healthy stage drained");
}

#[test]
fn a_failed_source_ends_the_process_and_is_named() {
    let (code, log) = ending("source-fails");
    assert_eq!(code, Some(1));
    assert!(log.contains("source faulty failed") && log.contains("no such exchange"), "{log}");
}

#[test]
fn what_outlives_the_grace_period_is_named_and_exits_1() {
    let mut tiny = Tiny::start(&["--fault", "stage-hangs"], &[("MARKETPRISM__SHUTDOWN__GRACE", "200ms")]);
    tiny.wait_until_healthy();
    tiny.signal(Signal::SIGTERM);
    assert_eq!(tiny.wait().code(), Some(1));
    let log = tiny.log();
    assert!(
        log.contains("not drained within the grace period of 200ms") && log.contains("stage faulty"),
        "{log}"
    );
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut tiny = Tiny::start(&["--fault", "stage-hangs"], &[("MARKETPRISM__SHUTDOWN__GRACE", "1h")]);
    tiny.wait_until_healthy();
    tiny.signal(Signal::SIGTERM);
    tiny.wait_for_log("draining");
    let (status, body) = tiny.get("health", "/health");
    assert!(status.contains("200") && body.contains("draining"), "it says that it drains: {status} {body}");
    tiny.signal(Signal::SIGTERM);
    assert_eq!(tiny.wait().code(), Some(1), "within the test's deadline, not within the hour");
    assert!(tiny.log().contains("second signal"));
}

#[test]
fn a_subcommand_takes_the_configuration_and_chooses_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.yaml");
    std::fs::write(&path, "counter: {interval: 9ms}").unwrap();
    // Its ports are not opened: one that is taken is no hindrance.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let environment = [("MARKETPRISM__ADMIN__HEALTH_LISTEN", taken.as_str())];
    let mut tiny = Tiny::spawn(&["wait", "--config", path.to_str().unwrap()], &environment);
    tiny.wait_for_log("9ms");
    tiny.signal(Signal::SIGINT);
    assert_eq!(tiny.wait().code(), Some(3), "{}", tiny.log());
}
