//! The binary against a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::process::{Command, Output};

use marketprism_testkit::{NatsServer, nats_server_executable};

fn run(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marketprism-broker-bootstrap"))
        .args(arguments)
        .env("MARKETPRISM__NATS__URL", url)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_dry_run_shows_and_changes_nothing_and_a_second_run_keeps() {
    let server = NatsServer::start();
    let dry = run(&server.url(), &["--dry-run"], &[]);
    assert_eq!(dry.status.code(), Some(0), "{}", text(&dry));
    for word in ["MARKET_DATA", "ORDERBOOK_SNAP", "DEAD_LETTER", "create", "max_age = 48h"] {
        assert!(text(&dry).contains(word), "{word} is missing in {}", text(&dry));
    }
    let first = run(&server.url(), &[], &[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(String::from_utf8_lossy(&first.stdout).contains("create"), "the dry run created it");
    let second = run(&server.url(), &[], &[]);
    assert_eq!(second.status.code(), Some(0), "{}", text(&second));
    let shown = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(shown.contains("keep") && !shown.contains("create") && !shown.contains("update"), "{shown}");
}

#[test]
fn shrinking_needs_its_flag() {
    let server = NatsServer::start();
    assert_eq!(run(&server.url(), &[], &[]).status.code(), Some(0));
    let smaller = [("MARKETPRISM__STREAMS__MARKET_DATA__MAX_AGE", "1h")];
    for arguments in [&["--dry-run"][..], &[]] {
        let refused = run(&server.url(), arguments, &smaller);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains("--allow-shrink"), "{}", text(&refused));
    }
    let allowed = run(&server.url(), &["--allow-shrink"], &smaller);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed));
    assert!(text(&allowed).contains("48h -> 1h"), "{}", text(&allowed));
}

#[test]
fn no_broker_is_an_error_that_names_the_url() {
    let mut server = NatsServer::start();
    server.stop();
    let output = run(&server.url(), &[], &[("MARKETPRISM__WAIT", "1s")]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains(&server.url()), "{}", text(&output));
}

#[test]
fn a_broker_with_too_little_room_is_explained() {
    let server = NatsServer::start_with(
        "accounts { A: { jetstream: { max_file: 1G }, users: [{user: a, password: a}] } }\nno_auth_user: a",
    );
    let output = run(&server.url(), &[], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("max_bytes"), "{}", text(&output));
}

#[test]
fn a_broker_that_syncs_too_seldom_is_refused_unless_that_is_accepted() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = NatsServer::start_with(&format!("http: \"127.0.0.1:{port}\""));
    let url = format!("http://127.0.0.1:{port}");
    let unchecked = run(&server.url(), &[], &[]);
    assert_eq!(unchecked.status.code(), Some(0), "{}", text(&unchecked));
    assert!(text(&unchecked).contains("not checked how often the broker syncs"), "{}", text(&unchecked));

    let monitored = ("MARKETPRISM__MONITORING_URL", url.as_str());
    let checked = run(&server.url(), &[], &[monitored]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let strict = run(&server.url(), &[], &[monitored, ("MARKETPRISM__SYNC_INTERVAL_MAX", "500ms")]);
    assert_eq!(strict.status.code(), Some(1), "{}", text(&strict));
    assert!(text(&strict).contains("syncs to the disk every 1s"), "{}", text(&strict));
    assert!(text(&strict).contains("accept more with sync_interval_max"), "{}", text(&strict));

    let nobody = run(&server.url(), &[], &[("MARKETPRISM__MONITORING_URL", "http://127.0.0.1:1")]);
    assert_eq!(nobody.status.code(), Some(1), "{}", text(&nobody));
    assert!(text(&nobody).contains("http://127.0.0.1:1/varz"), "{}", text(&nobody));
}

#[test]
fn bad_configuration_exits_64_and_names_the_key() {
    for (variable, value, key) in [
        ("MARKETPRISM__STREAMS__MARKET_DATA__REPLICAS", "2", "streams.market_data.replicas"),
        ("MARKETPRISM__STREAMS__MARKET_DATA__DUPLICATE_WINDOW", "1s", "streams.market_data.duplicate_window"),
        ("MARKETPRISM__STREAMS__ORDERBOOK_SNAP__MAX_BYTES", "5", "streams.orderbook_snap.max_bytes"),
        ("MARKETPRISM__NATS__URL", "http://127.0.0.1:1", "nats.url"),
        ("MARKETPRISM__MONITORING_URL", "127.0.0.1:8222", "monitoring_url"),
        ("MARKETPRISM__NATS__URLS", "nats://127.0.0.1:1", "nats.urls"),
    ] {
        let output = run("nats://127.0.0.1:1", &[], &[(variable, value)]);
        assert_eq!(output.status.code(), Some(64), "{variable}: {}", text(&output));
        assert!(text(&output).contains(key), "{key} is missing in {}", text(&output));
        assert!(text(&output).contains(value), "{value} is missing in {}", text(&output));
    }
}

#[test]
fn the_documented_configuration_is_the_default() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/broker-bootstrap.yaml");
    let check = |arguments: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_marketprism-broker-bootstrap");
        let output = Command::new(binary).arg("--check-config").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(check(&["--config", file]), check(&[]));
}

#[test]
fn the_deployed_server_configuration_is_valid_and_has_room_for_the_streams() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/nats/nats-server.conf");
    let output = Command::new(nats_server_executable()).args(["-t", "-c", file]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let configured = std::fs::read_to_string(file).unwrap();
    let max_file =
        configured.lines().find_map(|line| line.trim().strip_prefix("max_file: ")?.strip_suffix("GB"));
    let needed: i64 = marketprism_core::topology::STREAMS.iter().map(|spec| spec.max_bytes).sum();
    assert!(max_file.unwrap().parse::<i64>().unwrap() * 1_000_000_000 > needed);
}
