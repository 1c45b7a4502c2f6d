//! The edge of the process: connections that want nothing, too many of them, and readers that stall. The others are answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use marketprism_testkit::poll_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::monitoring::Monitoring;
use crate::rig::DEADLINE;

const HALF: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ";
const EVENTS: &str = "/api/v1/live/events";

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap()
}

/// A connection that was closed, however.
async fn closed(stream: &mut TcpStream) {
    drop(timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.expect("it is closed"));
}

async fn refused(monitoring: &Monitoring, listener: &str, reason: &str) -> u64 {
    let name = "marketprism_http_connections_refused_total";
    let line = format!("{name}{{listener=\"{listener}\",reason=\"{reason}\"}} ");
    let metrics = monitoring.metrics().await;
    metrics.lines().find_map(|found| found.strip_prefix(&line)).expect("the metric").parse().unwrap()
}

/// Asks for the events and reads the head of the answer.
async fn watching(monitoring: &Monitoring, from: &str) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().unwrap();
    // A reader that stalls has little room in its kernel, too.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(address(&monitoring.url)).await.unwrap();
    let ask = format!("GET {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut bytes = [0; 512];
    let read = timeout(DEADLINE, stream.read(&mut bytes)).await.expect("an answer");
    // A refused connection is reset.
    let head = String::from_utf8_lossy(&bytes[..read.unwrap_or_default()]).into_owned();
    (stream, head)
}

#[tokio::test]
async fn half_requests_are_closed_on_every_listener() {
    let monitoring = Monitoring::start(&[]).await;
    let listeners = [&monitoring.url, &monitoring.bridge, &monitoring.health_url, &monitoring.metrics_url];
    let mut half = Vec::new();
    for url in listeners {
        let mut stream = TcpStream::connect(address(url)).await.unwrap();
        stream.write_all(HALF).await.unwrap();
        half.push(stream);
    }
    for stream in &mut half {
        closed(stream).await;
    }
    for listener in ["console", "bridge", "health", "metrics"] {
        assert_eq!(refused(&monitoring, listener, "head_timeout").await, 1, "{listener}");
    }
    assert!(monitoring.process.log().contains("refused or closed a connection that met a limit"));
}

#[tokio::test]
async fn hundreds_of_sockets_on_the_console_keep_nobody_out() {
    let monitoring = Monitoring::start(&[]).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address(&monitoring.url)).await.unwrap();
        // It may have had to make room already.
        drop(stream.write_all(HALF).await);
        held.push(stream);
    }
    // On connections of their own, each of them.
    for url in
        [format!("{}/health", monitoring.url), monitoring.health_url.clone(), monitoring.metrics_url.clone()]
    {
        let answer = crate::monitoring::client().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
    }
    assert!(refused(&monitoring, "console", "displaced").await >= 300 - 32);
    assert!(monitoring.process.log().contains("refused or closed a connection that met a limit"));
}

#[tokio::test]
async fn an_address_that_watches_on_all_its_connections_is_refused_another_and_others_are_not() {
    let monitoring = Monitoring::start(&[("MARKETPRISM__LIVE__VIEWERS_MAX", "100")]).await;
    let mut watchers = Vec::new();
    for _ in 0..32 {
        let (stream, head) = watching(&monitoring, "127.0.0.3").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        watchers.push(stream);
    }
    assert_eq!(watching(&monitoring, "127.0.0.3").await.1, "");
    assert_eq!(refused(&monitoring, "console", "address").await, 1);
    let (_, head) = watching(&monitoring, "127.0.0.4").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(monitoring.get("/health").await.0, 200);
}

#[tokio::test]
async fn those_who_watch_are_counted_and_one_who_stalls_is_dropped() {
    let monitoring = Monitoring::start(&[("MARKETPRISM__LIVE__VIEWERS_MAX", "1")]).await;
    let (_stalled, head) = watching(&monitoring, "127.0.0.1").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (code, error) = monitoring.get(EVENTS).await;
    assert_eq!((code, error["message"].as_str()), (503, Some("1 look already (live.viewers_max)")));
    let patience = DEADLINE + Duration::from_secs(60);
    poll_until(patience, "the place of the one that stalls is free", async || {
        let url = format!("{}{EVENTS}", monitoring.url);
        monitoring.http.get(url).send().await.unwrap().status() == 200
    })
    .await;
    assert_eq!(refused(&monitoring, "console", "write_stall").await, 1);
}
