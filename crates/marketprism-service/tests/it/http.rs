//! Serving HTTP with limits: what each limit closes, and what none of them may close. Times are short ones, the code is every service's.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::Message;
use axum::routing::{any, get, post};
use futures_util::stream;
use marketprism_service::http::{Limits, PageGuard, Site};
use marketprism_service::{CancellationToken, HostNames};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Far more than anything here takes; only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(30);
/// Every time of a listener under test, unless the test says otherwise.
const SHORT: Duration = Duration::from_millis(500);
const QUICK: Limits = Limits {
    head: SHORT,
    body_idle: SHORT,
    body: Some(SHORT),
    keep_alive: SHORT,
    write_stall: SHORT,
    ..Limits::STANDARD
};
const ASK: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A listener that serves until it is dropped.
struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinSet<()>,
    /// A message for each endless answer that was dropped.
    dropped: mpsc::Receiver<()>,
}

/// Sends when it is dropped.
struct Dropped(mpsc::Sender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // More than one is not waited for.
        self.0.try_send(()).unwrap_or_default();
    }
}

async fn served(limits: Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (all_dropped, dropped) = mpsc::channel(16);
    // An event now and then, shorter apart than any time: as server-sent events.
    let ticks = || {
        let ticks = stream::unfold((), |()| async {
            sleep(SHORT / 10).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"tick\n")), ()))
        });
        std::future::ready(Body::from_stream(ticks))
    };
    // As much as the client takes.
    let flood = move || {
        let flood = stream::unfold(Dropped(all_dropped.clone()), |state| async {
            Some((Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 8192])), state))
        });
        std::future::ready(Body::from_stream(flood))
    };
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let routes = Router::new()
        .route("/", get(|| async { "here\n" }))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
        .route(
            "/slow",
            get(|| async {
                sleep(SHORT * 4).await;
                "late\n"
            }),
        )
        .route("/ticks", get(ticks))
        .route("/flood", get(flood))
        .route("/echo", any(echo));
    let site = Site::new("test", limits, PageGuard::new(HostNames::none()));
    let stop = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(site.serve(listener, routes, stop.clone()));
    Served { address, stop, serving, dropped }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A new connection on which this was written.
    async fn said(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn connect_from(&self, address: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }
}

/// Everything until the other side closes, however it does that.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    drop(read.expect("the connection is closed"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `text` has come.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    let reading = async {
        while !read.contains(text) {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "closed after {read:?}, before {text:?}");
            read.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    timeout(DEADLINE, reading).await.expect("an answer");
    read
}

/// Writes a byte every now and then, never pausing for long, until the other side closes.
async fn trickle(mut stream: TcpStream, byte: u8) -> String {
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let writing = async {
        while writer.write_all(&[byte]).await.is_ok() {
            sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let reading = async { drop(reader.read_to_end(&mut answer).await) };
    timeout(DEADLINE, async {
        tokio::select! { () = writing => {}, () = reading => {} }
    })
    .await
    .expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn heads_that_do_not_end_are_closed_however_they_come() {
    let served = served(QUICK).await;
    assert_eq!(rest(&mut served.connect().await).await, "", "nothing was said");
    assert_eq!(rest(&mut served.said("GET / HTTP/1.1\r\nHost: lo").await).await, "");
    let trickled = served.said("GET / HTTP/1.1\r\nX: ").await;
    assert_eq!(trickle(trickled, b'x').await, "");
    // Behind a whole request, too.
    let mut second = served.said(ASK).await;
    until(&mut second, "here\n").await;
    second.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut second).await, "");
}

#[tokio::test]
async fn heads_beyond_their_size_are_answered_and_closed() {
    let served = served(Limits::STANDARD).await;
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(17 << 10));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(64));
    for head in [large, many] {
        let mut stream = served.said(&head).await;
        assert!(until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 431"));
        rest(&mut stream).await;
    }
    let fits = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(15 << 10));
    until(&mut served.said(&fits).await, "here\n").await;
}

#[tokio::test]
async fn bodies_that_stand_still_or_take_too_long_are_given_up() {
    let served = served(QUICK).await;
    let begin = "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nbegin";
    let mut stalled = served.said(begin).await;
    assert!(rest(&mut stalled).await.starts_with("HTTP/1.1 400"));
    let trickled = served.said(begin).await;
    let answer = trickle(trickled, b'x').await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_a_stream_may_last_as_long_as_it_moves() {
    let idle = Duration::from_secs(2);
    let served = served(Limits { body: None, body_idle: idle, ..QUICK }).await;
    let mut stream =
        served.said("POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n").await;
    for _ in 0..10 {
        sleep(idle / 8).await;
        stream.write_all(b"x").await.unwrap();
    }
    assert!(until(&mut stream, "\r\n\r\n10").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_is_closed_when_none_comes() {
    let served = served(QUICK).await;
    let mut stream = served.connect().await;
    for _ in 0..3 {
        stream.write_all(ASK.as_bytes()).await.unwrap();
        until(&mut stream, "here\n").await;
    }
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn slow_answers_and_streams_go_on_beyond_every_time() {
    let served = served(QUICK).await;
    let mut slow = served.said(&ASK.replace("/ ", "/slow ")).await;
    let mut ticks = served.said(&ASK.replace("/ ", "/ticks ")).await;
    until(&mut slow, "late\n").await;
    // Ten of them take as long as one limit.
    for _ in 0..30 {
        until(&mut ticks, "tick\n").await;
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped() {
    let mut served = served(QUICK).await;
    let socket = TcpSocket::new_v4().unwrap();
    // The kernel takes for it what fits in here.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stalled = socket.connect(served.address).await.unwrap();
    stalled.write_all(ASK.replace("/ ", "/flood ").as_bytes()).await.unwrap();
    timeout(DEADLINE, served.dropped.recv()).await.expect("its answer is dropped");
}

#[tokio::test]
async fn a_websocket_lives_on_and_keeps_its_place() {
    let served = served(Limits { connections_max: 1, ..QUICK }).await;
    let mut socket = served
        .said(
            "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert!(until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    sleep(SHORT * 3).await;
    // Refused: the only place is taken, and not idle.
    assert_eq!(rest(&mut served.said(ASK).await).await, "");
    // A masked text frame: "hi".
    socket.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    until(&mut socket, "hi").await;
    drop(socket);
    let again = async {
        loop {
            if rest(&mut served.said(ASK).await).await.contains("here\n") {
                return;
            }
        }
    };
    timeout(DEADLINE, again).await.expect("its place is free again");
}

#[tokio::test]
async fn half_requests_keep_nobody_out_and_cut_no_stream() {
    let served =
        served(Limits { connections_max: 16, connections_per_address_max: 8, ..Limits::STANDARD }).await;
    let mut ticks = served.said(&ASK.replace("/ ", "/ticks ")).await;
    until(&mut ticks, "tick\n").await;
    let mut flood = Vec::new();
    for number in 0..300 {
        let mut stream = served.connect_from(["127.0.0.1", "127.0.0.2", "127.0.0.3"][number % 3]).await;
        // It may have had to make room already.
        drop(stream.write_all(b"GET / HTTP/1.1\r\nX: ").await);
        flood.push(stream);
    }
    for address in ["127.0.0.1", "127.0.0.4"] {
        let mut stream = served.connect_from(address).await;
        stream.write_all(ASK.as_bytes()).await.unwrap();
        until(&mut stream, "here\n").await;
    }
    assert_eq!(rest(&mut flood[0]).await, "", "the first ones made room");
    until(&mut ticks, "tick\n").await;
}

#[tokio::test]
async fn an_address_that_is_busy_everywhere_is_refused_and_others_are_not() {
    let served = served(Limits { connections_per_address_max: 2, ..Limits::STANDARD }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = served.said(&ASK.replace("/ ", "/ticks ")).await;
        until(&mut stream, "tick\n").await;
        busy.push(stream);
    }
    assert_eq!(rest(&mut served.said(ASK).await).await, "");
    let mut other = served.connect_from("127.0.0.2").await;
    other.write_all(ASK.as_bytes()).await.unwrap();
    until(&mut other, "here\n").await;
}

#[tokio::test]
async fn a_foreign_page_is_refused_with_a_sentence() {
    let served = served(Limits::STANDARD).await;
    for (header, word) in [
        ("Host: localhost\r\nOrigin: https://evil.example", "Origin: `https://evil.example`"),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", "Sec-Fetch-Site: `cross-site`"),
        ("Host: evil.example:80", "admin.hosts"),
    ] {
        let mut stream = served.said(&format!("GET / HTTP/1.1\r\n{header}\r\n\r\n")).await;
        let answer = until(&mut stream, word).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    let mut old = served.said("GET / HTTP/1.0\r\n\r\n").await;
    assert!(rest(&mut old).await.contains("here\n"), "a probe without Host");
}

#[tokio::test]
async fn at_the_end_what_is_under_way_is_answered_and_what_is_idle_closed() {
    let mut served = served(Limits::STANDARD).await;
    let mut idle = served.said(ASK).await;
    until(&mut idle, "here\n").await;
    let mut slow = served.said(&ASK.replace("/ ", "/slow ")).await;
    // A connection that is accepted later has been answered: so the slow one is under way.
    until(&mut served.said(ASK).await, "here\n").await;
    served.stop.cancel();
    assert!(rest(&mut slow).await.contains("late\n"));
    assert_eq!(rest(&mut idle).await, "");
    timeout(DEADLINE, served.serving.join_next()).await.expect("it returns").unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}
