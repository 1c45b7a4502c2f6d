//! From the command line to the open ports.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::process::{Tiny, output};

#[test]
fn version_and_help_exit_0_and_an_unknown_flag_64() {
    let (code, stdout, _) = output(&["--version"], &[]);
    assert_eq!((code, stdout.as_str()), (Some(0), concat!("tiny ", env!("CARGO_PKG_VERSION"), "\n")));
    let (code, stdout, _) = output(&["--help"], &[]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("--check-config") && stdout.contains("--fault"), "{stdout}");
    assert!(
        stdout.contains("TINY_INTERVAL sets counter.interval") && stdout.contains("LOG_LEVEL"),
        "{stdout}"
    );
    let (code, _, stderr) = output(&["--flault"], &[]);
    assert_eq!(code, Some(64));
    assert!(stderr.contains("--flault"), "{stderr}");
}

#[test]
fn check_config_prints_yaml_without_secrets() {
    let environment =
        [("MARKETPRISM__COUNTER__PASSWORD", "hunter2"), ("LOG_LEVEL", "DEBUG"), ("TINY_INTERVAL", "3s")];
    let (code, stdout, stderr) = output(&["--check-config"], &environment);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.contains("hunter2") && stdout.contains("password: \"[redacted]\""), "{stdout}");
    assert!(stdout.contains("interval: 3s") && stdout.contains("level: DEBUG"), "{stdout}");
}

#[test]
fn what_check_config_prints_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.yaml");
    let (_, defaults, _) = output(&["--check-config"], &[]);
    std::fs::write(&path, &defaults).unwrap();
    let (code, again, stderr) = output(&["--check-config", "--config", path.to_str().unwrap()], &[]);
    assert_eq!((code, again), (Some(0), defaults), "{stderr}");
}

#[test]
fn an_unknown_key_exits_64_and_is_named_with_its_value() {
    let (code, stdout, stderr) = output(&["--check-config"], &[("MARKETPRISM__COUNTER__INTERVALL", "7s")]);
    assert_eq!((code, stdout.as_str()), (Some(64), ""));
    assert!(stderr.starts_with("configuration error: counter.intervall: 7s: unknown field"), "{stderr}");
}

#[test]
fn a_refused_value_exits_64_and_is_named() {
    let (code, _, stderr) = output(&[], &[("TINY_INTERVAL", "0s")]);
    assert_eq!(code, Some(64));
    assert_eq!(stderr, "configuration error: counter.interval: 0s: must be above zero\n");
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) =
        output(&[], &[("METRICS_PORT", "0"), ("MARKETPRISM__ADMIN__HEALTH_LISTEN", &address)]);
    assert_eq!(code, Some(1));
    let expected = format!("failed to listen on {address} (admin.health_listen): Address already in use");
    assert!(stderr.contains(&expected), "{stderr}");
}

#[test]
fn health_and_metrics_are_served() {
    let tiny = Tiny::start(&[], &[]);
    tiny.wait_until_healthy();
    let (_, body) = tiny.get("health", "/health");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["status"], &body["service"]), (&Value::from("healthy"), &Value::from("tiny")));
    assert!(body["uptime_seconds"].is_u64() && body["version"].is_string(), "{body}");
    assert!(tiny.get("health", "/live").0.contains("200"));
    assert!(tiny.get("health", "/metrics").0.contains("404"), "metrics have a port of their own");

    let (_, metrics) = tiny.get("metrics", "/metrics");
    let build_info =
        format!("marketprism_build_info{{service=\"tiny\",version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(metrics.contains(&build_info), "{metrics}");
    for name in [
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
    ] {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
        // The processor time of so young a process may round to zero.
        let least = if name == "process_cpu_seconds_total" { 0.0 } else { 1.0 };
        assert!(value.parse::<f64>().unwrap() >= least, "{name} {value}");
    }
}

#[test]
fn a_foreign_page_is_refused_by_both_servers_and_a_configured_name_is_not() {
    let tiny = Tiny::start(&[], &[("MARKETPRISM__ADMIN__HOSTS", "tiny, tiny.example.com")]);
    for (server, path) in [("health", "/live"), ("metrics", "/metrics")] {
        let address = tiny.address(server);
        for header in [
            "Host: evil.example\r\n".to_owned(),
            format!("Host: {address}\r\nOrigin: https://evil.example\r\n"),
            format!("Host: {address}\r\nSec-Fetch-Site: same-site\r\n"),
        ] {
            let (head, body) = tiny.ask(server, path, &header);
            assert!(head.contains("403"), "{header}: {head}\n{body}");
        }
        let host = tiny.ask(server, path, "Host: evil.example\r\n").1;
        assert!(host.contains("`evil.example`") && host.contains("admin.hosts"), "{host}");
        for name in ["tiny:9092", "TINY.example.com", "localhost"] {
            assert!(tiny.ask(server, path, &format!("Host: {name}\r\n")).0.contains("200"), "{name}");
        }
    }
    let metrics = tiny.get("metrics", "/metrics").1;
    let refused = "marketprism_http_requests_refused_total{listener=\"health\",reason=\"host\"} 2";
    assert!(metrics.contains(refused), "{metrics}");
    tiny.wait_for_log("refused a request of a foreign web page");
}

#[test]
fn a_host_name_that_is_none_is_refused_with_its_value() {
    let (code, _, stderr) = output(&["--check-config"], &[("MARKETPRISM__ADMIN__HOSTS", "tiny,http://x")]);
    assert_eq!(code, Some(64));
    assert!(stderr.contains("admin.hosts: http://x: is no host name"), "{stderr}");
}

/// As long as a half request may stay, and as long as a loaded machine needs to see that.
#[test]
fn half_requests_are_closed_counted_and_logged_and_keep_nobody_out() {
    let tiny = Tiny::start(&[], &[]);
    tiny.wait_until_healthy();
    let half = |server: &str| {
        let mut stream = TcpStream::connect(tiny.address(server)).unwrap();
        // It may have had to make room already.
        drop(stream.write_all(b"GET /health HTTP/1.1\r\nX: "));
        stream
    };
    let mut held: Vec<_> = (0..200).map(|number| half(["health", "metrics"][number % 2])).collect();
    assert!(tiny.get("health", "/health").0.contains("200"));
    let count = |reason: &str| -> u64 {
        let metrics = tiny.get("metrics", "/metrics").1;
        let lines = metrics.lines().filter(|line| {
            line.starts_with("marketprism_http_connections_refused_total") && line.contains(reason)
        });
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    // Of each server's hundred, 32 have a place.
    assert!(count("displaced") >= 2 * (100 - 32), "{}", tiny.get("metrics", "/metrics").1);
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut bytes = [0; 16];
        match stream.read(&mut bytes) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is open still"),
        }
    }
    assert!(count("head_timeout") > 0);
    tiny.wait_for_log("refused or closed a connection that met a limit");
}

#[test]
fn a_service_adds_pages_of_its_own() {
    let tiny = Tiny::start(&[], &[]);
    tiny.wait_until_healthy();
    let (status, body) = tiny.get("health", "/sizes?of=queue");
    assert!(status.contains("200"), "{status}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, serde_json::json!({ "queue": 64, "query": { "of": "queue" } }));
    assert!(tiny.get("health", "/other").0.contains("404"));
}

#[test]
fn sighup_reads_the_configuration_again_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.yaml");
    std::fs::write(&path, "counter: {interval: 5ms}").unwrap();
    let tiny = Tiny::start(&["--config", path.to_str().unwrap()], &[]);
    tiny.wait_until_healthy();
    std::fs::write(&path, "counter: {interval: 7ms}").unwrap();
    tiny.signal(Signal::SIGHUP);
    tiny.wait_for_log("7ms");
    std::fs::write(&path, "counter: {intervall: 7ms}").unwrap();
    tiny.signal(Signal::SIGHUP);
    tiny.wait_for_log("not reloaded");
    assert!(tiny.log().contains("counter.intervall"), "{}", tiny.log());
}

#[test]
fn health_and_metrics_are_answered_while_every_worker_of_the_data_path_is_blocked() {
    let tiny = Tiny::start(&["--fault", "workers-block"], &[]);
    for _ in 0..20 {
        let (head, body) = tiny.get("health", "/health");
        assert!(head.contains("200") || head.contains("503"), "{head}");
        assert!(body.contains("\"status\""), "{body}");
        assert!(tiny.get("metrics", "/metrics").1.contains("marketprism_build_info"));
    }
}
