//! One client's WebSocket, driven by one task: requests in, events out, pings, its end. What a client may ask
//! for is `binance/requests.rs`; what it gets is decided by `exchange.rs`.
//!
//! Reading comes first and writing happens in small batches, so once a client's Close is seen, nothing more is
//! sent; and an event counts as sent only after the write that carried it was flushed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::binance::requests::{self, Command, Request};
use crate::binance::stream_name::{Route, resolve};
use crate::exchange::Exchange;
use crate::ledger::Ticket;
use crate::lock::lock;
use crate::pings::Pings;
use crate::streams::Subscriber;

/// Messages waiting for one socket: at 1 kB each about 4 MB. When full, whoever publishes waits, up to the
/// pong timeout, which ends a client that does not read.
const QUEUE_MESSAGES: usize = 4096;
/// Messages written between two looks at what the client says.
const BATCH_MESSAGES: usize = 64;
/// How long a closing handshake may take before the socket is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Something for the socket, in order.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// An event and its place in the ledger.
    Event { text: String, ticket: Ticket },
    /// An announcement, in no ledger.
    Notice(String),
}

/// How a connection ends from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Without a word: the client is gone, silent or being punished.
    Drop,
    /// With a Close frame of this code and reason.
    Close(u16, &'static str),
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) route: Route,
    combined: AtomicBool,
    queue: mpsc::Sender<Outgoing>,
    names: Mutex<BTreeSet<String>>,
    cut: CancellationToken,
}

impl Connection {
    /// Queues `message`; nothing happens when the connection is ending, and an event's ticket then drops
    /// unwritten, which is the record of it.
    pub(crate) async fn send(&self, message: Outgoing) {
        drop(self.queue.send(message).await);
    }

    /// Queues an announcement if there is room: faults do not wait for slow readers.
    pub(crate) fn announce(&self, text: String) -> bool {
        self.queue.try_send(Outgoing::Notice(text)).is_ok()
    }

    /// Drops the socket without a Close frame, after the write in progress.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether events come in the `{"stream":…,"data":…}` envelope.
    pub(crate) fn is_combined(&self) -> bool {
        self.combined.load(Ordering::Relaxed)
    }

    fn subscribe(self: &Arc<Self>, exchange: &Exchange, names: &[String]) {
        for name in names {
            if !lock(&self.names).insert(name.clone()) {
                continue;
            }
            if let Some(stream) = resolve(name, self.route, &exchange.catalogue) {
                let subscriber = Subscriber { connection: Arc::clone(self), name: Arc::from(name.as_str()) };
                exchange.subscriptions.add(stream, subscriber);
            }
        }
    }

    fn unsubscribe(&self, exchange: &Exchange, names: &[String]) {
        for name in names {
            if lock(&self.names).remove(name)
                && let Some(stream) = resolve(name, self.route, &exchange.catalogue)
            {
                exchange.subscriptions.remove(stream, self.id, name);
            }
        }
    }
}

/// Serves one client until either side ends it. `names` are the streams of the URL.
pub(crate) async fn serve(
    socket: WebSocket,
    exchange: Arc<Exchange>,
    route: Route,
    combined: bool,
    names: Vec<String>,
    shutdown: CancellationToken,
) {
    let (queue, outgoing) = mpsc::channel(QUEUE_MESSAGES);
    let connection = Arc::new(Connection {
        id: exchange.connections.next_id(),
        route,
        combined: AtomicBool::new(combined),
        queue,
        names: Mutex::default(),
        cut: CancellationToken::new(),
    });
    exchange.connections.add(Arc::clone(&connection));
    connection.subscribe(&exchange, &names);
    tracing::debug!(connection = connection.id, ?route, "connected");

    let (mut task, end) = Task::new(socket, &connection, &exchange, outgoing).run(shutdown).await;
    exchange.subscriptions.remove_connection(connection.id);
    // Refuse and forget what is still queued: publishers must not wait for a socket that ends.
    task.outgoing.close();
    while task.outgoing.try_recv().is_ok() {}
    if let End::Close(code, reason) = end {
        drop(timeout(CLOSE_TIMEOUT, task.close(code, reason)).await);
    }
    exchange.connections.remove(connection.id);
    tracing::debug!(connection = connection.id, ?end, "disconnected");
}

/// The loop of one connection and what only it touches.
struct Task<'a> {
    socket: WebSocket,
    connection: &'a Arc<Connection>,
    exchange: &'a Exchange,
    outgoing: mpsc::Receiver<Outgoing>,
    pings: Pings,
    incoming: IncomingRate,
}

impl<'a> Task<'a> {
    fn new(
        socket: WebSocket,
        connection: &'a Arc<Connection>,
        exchange: &'a Exchange,
        outgoing: mpsc::Receiver<Outgoing>,
    ) -> Self {
        let now = Instant::now();
        let limits = &exchange.limits;
        Self {
            socket,
            connection,
            exchange,
            outgoing,
            pings: Pings::new(limits.ping_interval.get(), limits.pong_timeout.get(), now),
            incoming: IncomingRate {
                window_start: now,
                count: 0,
                max: connection.route.incoming_per_second_max(),
            },
        }
    }

    async fn run(mut self, shutdown: CancellationToken) -> (Self, End) {
        let life_ends = Instant::now() + self.exchange.limits.connection_life.get();
        let mut batch = Vec::with_capacity(BATCH_MESSAGES);
        loop {
            let step = tokio::select! {
                biased;
                () = self.connection.cut.cancelled() => ControlFlow::Break(End::Drop),
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.incoming(message).await,
                    Some(Err(_)) | None => ControlFlow::Break(End::Drop),
                },
                () = shutdown.cancelled() => ControlFlow::Break(End::Close(1001, "going away")),
                () = sleep_until(life_ends) => ControlFlow::Break(End::Close(1001, "connection lifetime is over")),
                () = sleep_until(self.pings.next_at()) => self.ping().await,
                count = self.outgoing.recv_many(&mut batch, BATCH_MESSAGES), if batch.is_empty() => {
                    debug_assert!(count > 0, "the connection itself holds a sender");
                    self.write(&mut batch).await
                }
            };
            if let ControlFlow::Break(end) = step {
                return (self, end);
            }
        }
    }

    /// Writes a batch and then, all of it flushed, settles its tickets as written. A client that takes longer
    /// than a pong may take is dropped with the batch unsettled.
    async fn write(&mut self, batch: &mut Vec<Outgoing>) -> ControlFlow<End> {
        let mut tickets = Vec::with_capacity(batch.len());
        let writing = async {
            for message in batch.drain(..) {
                let text = match message {
                    Outgoing::Event { text, ticket } => {
                        tickets.push(ticket);
                        text
                    }
                    Outgoing::Notice(text) => text,
                };
                self.socket.feed(Message::Text(text.into())).await?;
            }
            self.socket.flush().await
        };
        match timeout(self.exchange.limits.pong_timeout.get(), writing).await {
            Ok(Ok(())) => {
                tickets.into_iter().for_each(Ticket::written);
                ControlFlow::Continue(())
            }
            Ok(Err(_)) | Err(_) => ControlFlow::Break(End::Drop),
        }
    }

    async fn ping(&mut self) -> ControlFlow<End> {
        match self.pings.due(Instant::now()) {
            Some(payload) => self.reply(Message::Ping(payload.into_bytes().into())).await,
            None => ControlFlow::Break(End::Drop),
        }
    }

    async fn incoming(&mut self, message: Message) -> ControlFlow<End> {
        if let Message::Close(_) = message {
            // The protocol layer has queued the answering Close: flush it.
            drop(timeout(CLOSE_TIMEOUT, self.socket.flush()).await);
            return ControlFlow::Break(End::Drop);
        }
        if self.incoming.is_exceeded(Instant::now()) {
            return ControlFlow::Break(End::Close(1008, "Too many requests"));
        }
        match message {
            Message::Text(text) => self.request(&text).await,
            Message::Binary(bytes) => self.request(&String::from_utf8_lossy(&bytes)).await,
            Message::Pong(payload) => {
                self.pings.answered(&payload);
                ControlFlow::Continue(())
            }
            // The protocol layer answers pings by itself.
            Message::Ping(_) | Message::Close(_) => ControlFlow::Continue(()),
        }
    }

    async fn request(&mut self, text: &str) -> ControlFlow<End> {
        match requests::parse(text, self.connection.route) {
            Ok(Request { id, command }) => self.obey(&id, command).await,
            Err(refusal) => self.reply(Message::Text(refusal.into())).await,
        }
    }

    async fn obey(&mut self, id: &Value, command: Command) -> ControlFlow<End> {
        let connection = self.connection;
        let result = match command {
            Command::Subscribe(names) => {
                let max = self.exchange.limits.streams_per_connection_max;
                if lock(&connection.names).len() + names.len() > max {
                    let refusal = requests::invalid(&format!("more than {max} streams on one connection"));
                    return self.reply(Message::Text(refusal.into())).await;
                }
                // Acknowledged before the first event, as the exchange does.
                let step = self.reply(Message::Text(requests::result(id, &Value::Null).into())).await;
                connection.subscribe(self.exchange, &names);
                return step;
            }
            Command::Unsubscribe(names) => {
                connection.unsubscribe(self.exchange, &names);
                Value::Null
            }
            Command::ListSubscriptions => lock(&connection.names).iter().cloned().collect(),
            Command::SetCombined(combined) => {
                connection.combined.store(combined, Ordering::Relaxed);
                Value::Null
            }
            Command::GetCombined => Value::Bool(connection.is_combined()),
        };
        self.reply(Message::Text(requests::result(id, &result).into())).await
    }

    async fn reply(&mut self, message: Message) -> ControlFlow<End> {
        match timeout(self.exchange.limits.pong_timeout.get(), self.socket.send(message)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) | Err(_) => ControlFlow::Break(End::Drop),
        }
    }

    /// Our Close, then whatever the client still says until its own Close.
    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

/// Client messages of the running second. Pongs count, too.
struct IncomingRate {
    window_start: Instant,
    count: u32,
    max: u32,
}

impl IncomingRate {
    fn is_exceeded(&mut self, now: Instant) -> bool {
        if now.duration_since(self.window_start) >= Duration::from_secs(1) {
            self.window_start = now;
            self.count = 0;
        }
        self.count += 1;
        self.count > self.max
    }
}
