//! A TCP proxy before a server: connections between two processes that can be cut, frozen, slowed down, or robbed of their
//! answers. It passes bytes and knows no protocol.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[derive(Debug, Clone, PartialEq)]
enum Mode {
    Open,
    Refusing,
    Frozen,
    Held,
    Muted,
    /// Of requests with these words.
    AnswersDelayed(String, Duration),
    AnswersLost(String),
}

impl Mode {
    const fn passes(&self) -> bool {
        !matches!(self, Self::Frozen | Self::Held)
    }
}

/// What the connections are told: their mode, and which of them are ended.
#[derive(Debug, Clone)]
struct Order {
    mode: Mode,
    /// Connections made in an earlier generation end.
    generation: u64,
}

/// A proxy of one server on a free port; dropped, its connections end.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    order: watch::Sender<Order>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Listens before `target`: `nats://127.0.0.1:4222`, `http://…` or a bare `host:port`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(target: &str) -> Self {
        let (scheme, server) = target.split_once("://").map_or(("", target), |(scheme, rest)| (scheme, rest));
        let server = server.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the port that was bound");
        let url = if scheme.is_empty() { address.to_string() } else { format!("{scheme}://{address}") };
        let (order, watched) = watch::channel(Order { mode: Mode::Open, generation: 0 });
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                if watched.borrow().mode != Mode::Refusing
                    && let Ok(server) = TcpStream::connect(&server).await
                {
                    connections.spawn(pass(client, server, watched.clone()));
                }
            }
        });
        Self { url, order, _accepting: accepting }
    }

    /// Where clients connect, with the target's scheme.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends the connections; new ones are closed at once, until [`Proxy::restore`].
    pub fn cut(&self) {
        self.end_connections(Some(Mode::Refusing));
    }

    /// Ends the connections; new ones pass.
    pub fn reset(&self) {
        self.end_connections(None);
    }

    /// Nothing passes and nobody is told, as when a cable is pulled. What was sent meanwhile arrives after
    /// [`Proxy::restore`], even if its sender has given up and closed.
    pub fn freeze(&self) {
        self.set(Mode::Frozen);
    }

    /// As [`Proxy::freeze`], but the server never learns that a sender gave up and closed: a request that arrives late looks
    /// like any other to it.
    pub fn hold(&self) {
        self.set(Mode::Held);
    }

    /// Requests pass, answers are swallowed; the connections stay.
    pub fn mute(&self) {
        self.set(Mode::Muted);
    }

    /// The answer to a request whose bytes hold `text` comes later by `delay`.
    pub fn delay_answers_to(&self, text: &str, delay: Duration) {
        self.set(Mode::AnswersDelayed(text.to_owned(), delay));
    }

    /// A request whose bytes hold `text` reaches the server; the connection is closed instead of passing its answer.
    pub fn lose_answers_to(&self, text: &str) {
        self.set(Mode::AnswersLost(text.to_owned()));
    }

    /// Everything passes again.
    pub fn restore(&self) {
        self.set(Mode::Open);
    }

    fn set(&self, mode: Mode) {
        self.order.send_modify(|order| order.mode = mode);
    }

    fn end_connections(&self, mode: Option<Mode>) {
        self.order.send_modify(|order| {
            order.generation += 1;
            if let Some(mode) = mode {
                order.mode = mode;
            }
        });
    }
}

/// What a client sent since the server last answered; its beginning is enough to know a request by.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<u8>>>);

impl Asked {
    const BYTES_MAX: usize = 1 << 16;

    fn add(&self, bytes: &[u8]) {
        let mut asked = self.0.lock().expect("no holder panics");
        let room = Self::BYTES_MAX.saturating_sub(asked.len());
        asked.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("no holder panics"))
    }
}

/// One connection, until the server or an order ends it. A client that closes is read to its end.
async fn pass(client: TcpStream, server: TcpStream, mut order: watch::Receiver<Order>) {
    let generation = order.borrow().generation;
    let asked = Asked::default();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = requests(from_client, to_server, order.clone(), asked.clone());
    let answers = answers(from_server, to_client, order.clone(), asked);
    tokio::select! {
        _ = async { tokio::join!(requests, std::future::pending::<()>()) } => {}
        () = answers => {}
        _ = order.wait_for(|order| order.generation != generation) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut order: watch::Receiver<Order>,
    asked: Asked,
) {
    let mut buffer = vec![0; 1 << 16];
    let mut held = false;
    loop {
        let bytes = from.read(&mut buffer).await.unwrap_or_default();
        held |= order.borrow().mode == Mode::Held;
        if order.wait_for(|order| order.mode.passes()).await.is_err() {
            return;
        }
        if bytes == 0 {
            if held {
                std::future::pending::<()>().await;
            }
            // The server learns that the client is done, and may still answer.
            drop(to.shutdown().await);
            return;
        }
        asked.add(&buffer[..bytes]);
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut order: watch::Receiver<Order>,
    asked: Asked,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        if order.wait_for(|order| order.mode.passes()).await.is_err() {
            return;
        }
        let (mode, asked) = (order.borrow().mode.clone(), asked.take());
        match mode {
            Mode::Muted => continue,
            Mode::AnswersDelayed(text, delay) if holds(&asked, text.as_bytes()) => sleep(delay).await,
            Mode::AnswersLost(text) if holds(&asked, text.as_bytes()) => return,
            Mode::Open
            | Mode::Refusing
            | Mode::Frozen
            | Mode::Held
            | Mode::AnswersLost(_)
            | Mode::AnswersDelayed(..) => {}
        }
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every line with itself.
    async fn echo() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        (address, serving)
    }

    async fn said(stream: &mut TcpStream, word: &[u8]) -> Vec<u8> {
        stream.write_all(word).await.unwrap();
        let mut answer = vec![0; 16];
        let bytes = stream.read(&mut answer).await.unwrap_or_default();
        answer.truncate(bytes);
        answer
    }

    #[tokio::test]
    async fn it_passes_and_it_cuts() {
        let (address, _serving) = echo().await;
        let proxy = Proxy::start(&address).await;
        let mut one = TcpStream::connect(proxy.url()).await.unwrap();
        assert_eq!(said(&mut one, b"a").await, b"a");
        proxy.reset();
        assert_eq!(said(&mut one, b"b").await, b"");
        let mut two = TcpStream::connect(proxy.url()).await.unwrap();
        assert_eq!(said(&mut two, b"c").await, b"c");
        proxy.cut();
        assert_eq!(said(&mut two, b"d").await, b"");
        let mut three = TcpStream::connect(proxy.url()).await.unwrap();
        assert_eq!(said(&mut three, b"e").await, b"");
        proxy.restore();
        let mut four = TcpStream::connect(proxy.url()).await.unwrap();
        assert_eq!(said(&mut four, b"f").await, b"f");
        proxy.lose_answers_to("secret");
        assert_eq!(said(&mut four, b"plain").await, b"plain");
        assert_eq!(said(&mut four, b"secret").await, b"");
    }
}
