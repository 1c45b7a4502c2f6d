//! One client's WebSocket, driven by one task: requests in, events out, keep-alive, its end. What a client may say is
//! its exchange's `Session`; what it gets is decided by `hub.rs`.
//!
//! Reading comes first and writing happens in small batches, so once a client's Close is seen, nothing more is
//! sent; and an event counts as sent only after the write that carried it was flushed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::instrument::MarketType;
use crate::ledger::Ticket;
use crate::session::{Session, Step};

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
    /// The end, with this code and reason, behind all that was queued before.
    Close(u16, &'static str),
}

/// How a connection ends from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Without a word: the client is gone, silent or being punished.
    Drop,
    /// With a Close frame of this code and reason.
    Close(u16, &'static str),
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) exchange: Exchange,
    /// Absent where one connection carries every market type.
    pub(crate) market_type: Option<MarketType>,
    combined: AtomicBool,
    queue: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
    silenced: Notify,
}

impl Connection {
    /// Queues `message`; nothing happens when the connection is ending, and an event's ticket then drops
    /// unwritten, which is the record of it.
    pub(crate) async fn send(&self, message: Outgoing) {
        drop(self.queue.send(message).await);
    }

    /// Queues `message` if there is room.
    pub(crate) fn try_send(&self, message: Outgoing) -> bool {
        self.queue.try_send(message).is_ok()
    }

    /// Queues an announcement if there is room: faults do not wait for slow readers.
    pub(crate) fn announce(&self, text: String) -> bool {
        self.try_send(Outgoing::Notice(text))
    }

    /// Drops the socket without a Close frame, after the write in progress.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Has the task look whether its exchange is silent now.
    pub(crate) fn silence(&self) {
        self.silenced.notify_one();
    }

    /// Whether events come in Binance's `{"stream":…,"data":…}` envelope.
    pub(crate) fn is_combined(&self) -> bool {
        self.combined.load(Ordering::Relaxed)
    }

    pub(crate) fn set_combined(&self, combined: bool) {
        self.combined.store(combined, Ordering::Relaxed);
    }
}

/// Serves one client until either side ends it.
pub(crate) async fn serve(
    socket: WebSocket,
    hub: Arc<Hub>,
    (exchange, market_type): (Exchange, Option<MarketType>),
    mut session: Box<dyn Session>,
    shutdown: CancellationToken,
) {
    let (queue, outgoing) = mpsc::channel(QUEUE_MESSAGES);
    let connection = Arc::new(Connection {
        id: hub.connections.next_id(),
        exchange,
        market_type,
        combined: AtomicBool::new(false),
        queue,
        cut: CancellationToken::new(),
        silenced: Notify::new(),
    });
    hub.connections.add(Arc::clone(&connection));
    session.opened(&connection, &hub);
    tracing::debug!(connection = connection.id, exchange = exchange.as_str(), "connected");

    let task =
        Task { socket, connection: &connection, hub: &hub, session, outgoing, active_at: Instant::now() };
    let (mut task, end) = task.run(shutdown).await;
    hub.subscriptions.remove_connection(connection.id);
    // Refuse and forget what is still queued: publishers must not wait for a socket that ends.
    task.outgoing.close();
    while task.outgoing.try_recv().is_ok() {}
    if let End::Close(code, reason) = end {
        drop(timeout(CLOSE_TIMEOUT, task.close(code, reason)).await);
    }
    hub.connections.remove(connection.id);
    tracing::debug!(connection = connection.id, ?end, "disconnected");
}

/// The loop of one connection and what only it touches.
struct Task<'a> {
    socket: WebSocket,
    connection: &'a Arc<Connection>,
    hub: &'a Hub,
    session: Box<dyn Session>,
    outgoing: mpsc::Receiver<Outgoing>,
    /// When something was last sent or received.
    active_at: Instant,
}

impl Task<'_> {
    async fn run(mut self, shutdown: CancellationToken) -> (Self, End) {
        let life_ends = Instant::now() + self.hub.limits.connection_life.get();
        let mut batch = Vec::with_capacity(BATCH_MESSAGES);
        loop {
            while let Some(until) = self.silent_until() {
                tokio::select! {
                    biased;
                    () = self.connection.cut.cancelled() => return (self, End::Drop),
                    () = shutdown.cancelled() => return (self, End::Drop),
                    () = self.connection.silenced.notified() => {}
                    () = sleep_until(until.into()) => {}
                }
                self.active_at = Instant::now();
            }
            let step = tokio::select! {
                biased;
                () = self.connection.cut.cancelled() => ControlFlow::Break(End::Drop),
                () = self.connection.silenced.notified() => ControlFlow::Continue(()),
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.incoming(message).await,
                    Some(Err(_)) | None => ControlFlow::Break(End::Drop),
                },
                () = shutdown.cancelled() => ControlFlow::Break(End::Close(1001, "going away")),
                () = sleep_until(life_ends) => ControlFlow::Break(End::Close(1001, "connection lifetime is over")),
                () = sleep_until(self.session.next_at(self.active_at)) => {
                    let step = self.session.tick(Instant::now(), self.active_at);
                    self.obey(step).await
                }
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

    fn silent_until(&self) -> Option<std::time::Instant> {
        self.hub.faults.silent_until(self.connection.exchange, self.connection.market_type)
    }

    /// Writes a batch and then, all of it flushed, settles its tickets as written. A client that takes longer
    /// than a pong may take is dropped with the batch unsettled.
    async fn write(&mut self, batch: &mut Vec<Outgoing>) -> ControlFlow<End> {
        let mut tickets = Vec::with_capacity(batch.len());
        let writing = async {
            let mut end = None;
            for message in batch.drain(..) {
                let text = match message {
                    Outgoing::Event { text, ticket } => {
                        tickets.push(ticket);
                        text
                    }
                    Outgoing::Notice(text) => text,
                    Outgoing::Close(code, reason) => {
                        end = Some(End::Close(code, reason));
                        break;
                    }
                };
                self.socket.feed(Message::Text(text.into())).await?;
            }
            self.socket.flush().await?;
            Ok::<_, axum::Error>(end)
        };
        match timeout(self.hub.limits.pong_timeout.get(), writing).await {
            Ok(Ok(end)) => {
                self.active_at = Instant::now();
                tickets.into_iter().for_each(Ticket::written);
                end.map_or(ControlFlow::Continue(()), ControlFlow::Break)
            }
            Ok(Err(_)) | Err(_) => ControlFlow::Break(End::Drop),
        }
    }

    async fn incoming(&mut self, message: Message) -> ControlFlow<End> {
        self.active_at = Instant::now();
        if let Message::Close(_) = message {
            // The protocol layer has queued the answering Close: flush it.
            drop(timeout(CLOSE_TIMEOUT, self.socket.flush()).await);
            return ControlFlow::Break(End::Drop);
        }
        self.session.received(self.active_at)?;
        let step = match message {
            Message::Text(text) => self.session.request(&text, self.connection, self.hub),
            Message::Binary(bytes) => {
                self.session.request(&String::from_utf8_lossy(&bytes), self.connection, self.hub)
            }
            Message::Pong(payload) => {
                self.session.pong(&payload);
                return ControlFlow::Continue(());
            }
            // The protocol layer answers pings by itself.
            Message::Ping(_) | Message::Close(_) => return ControlFlow::Continue(()),
        };
        self.obey(step).await
    }

    /// Writes what the session answers.
    async fn obey(&mut self, step: Step) -> ControlFlow<End> {
        for message in step? {
            match timeout(self.hub.limits.pong_timeout.get(), self.socket.send(message)).await {
                Ok(Ok(())) => self.active_at = Instant::now(),
                Ok(Err(_)) | Err(_) => return ControlFlow::Break(End::Drop),
            }
        }
        ControlFlow::Continue(())
    }

    /// Our Close, then whatever the client still says until its own Close.
    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}
