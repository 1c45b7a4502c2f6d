//! A small HTTP proxy: CONNECT tunnels and plain requests, with a password, and tunnels that can be cut one by one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;

/// `user:secret`, as the header carries it.
const CREDENTIALS: &str = "Basic dXNlcjpzZWNyZXQ=";

pub(crate) struct ForwardProxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    is_without_tunnels: AtomicBool,
    /// One a tunnel, in the order they were opened; a message cuts it.
    tunnels: Mutex<Vec<broadcast::Sender<()>>>,
}

impl ForwardProxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let mut accepting = JoinSet::new();
        let shared = seen.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, seen, _accepting: accepting }
    }

    pub(crate) fn url(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    pub(crate) async fn tunnels(&self) -> usize {
        self.seen.tunnels.lock().await.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// Answers CONNECT with 403 from now on.
    pub(crate) fn refuse_tunnels(&self) {
        self.seen.is_without_tunnels.store(true, Ordering::Relaxed);
    }

    /// Cuts tunnels by their number, counted from 0 as they were opened.
    pub(crate) async fn cut(&self, numbers: &[usize]) {
        let tunnels = self.seen.tunnels.lock().await;
        for number in numbers {
            // One that ended by itself hears nothing.
            tunnels[*number].send(()).ok();
        }
    }
}

async fn serve(mut client: TcpStream, seen: Arc<Seen>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    if !head.contains(CREDENTIALS) {
        client
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await
            .ok();
        return;
    }
    if method == "CONNECT" && seen.is_without_tunnels.load(Ordering::Relaxed) {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.ok();
        return;
    }
    let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap();
    let mut server = TcpStream::connect(authority).await.unwrap();
    let mut cut = None;
    if method == "CONNECT" {
        let (sender, receiver) = broadcast::channel(1);
        seen.tunnels.lock().await.push(sender);
        cut = Some(receiver);
        client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await.unwrap();
    } else {
        seen.requests.fetch_add(1, Ordering::Relaxed);
        server.write_all(head.as_bytes()).await.unwrap();
    }
    let until_cut = async {
        match &mut cut {
            Some(cut) => drop(cut.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = until_cut => {}
    }
}
