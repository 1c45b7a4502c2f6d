//! The only WebSocket loop: performs the effects of one session, whatever the exchange.
//!
//! The session lives as long as the connection is planned, across reconnects. When told to stop, the connection is closed by
//! the protocol's handshake and read to its end, so that no frame the exchange sent is dropped; then the session drains.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use marketprism_bus::Outgoing;
use marketprism_exchanges::{FetchFailed, Frame, Link, Lost, Rejected, Request, RequestId, Session};
use marketprism_service::{Backoff, BackoffConfig, CancellationToken, Report};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

use crate::board::Board;
use crate::clock;
use crate::metrics::ConnectionMetrics;
use crate::outbox::Outbox;
use crate::rest::Rest;
use crate::socket::{Dialer, Socket};

/// How often the session's clock ticks; the finest publish interval of books.
const TICK: Duration = Duration::from_millis(20);
/// How often the board is told.
const BOARD_INTERVAL: Duration = Duration::from_secs(1);
/// How long the exchange may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long answers under way are waited for at the end; a request takes a few hundred milliseconds.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// The one socket.
const LINK: Link = Link(0);

/// One planned connection.
pub(crate) struct Connection {
    pub(crate) exchange: &'static str,
    pub(crate) name: String,
    pub(crate) path: Option<&'static str>,
    pub(crate) session: Box<dyn Session>,
    pub(crate) dialer: Dialer,
    pub(crate) rest: Rest,
    pub(crate) queue: mpsc::Sender<Outgoing>,
    pub(crate) board: Board,
    pub(crate) metrics: ConnectionMetrics,
    pub(crate) reconnect: BackoffConfig,
}

/// Why a socket is no longer served.
enum Ended {
    /// Told to stop, and closed.
    Stopped,
    /// Lost: dial again after a pause.
    Lost(String),
    /// The exchange said it will close; here is the successor, opened before the old one went.
    Replaced(Box<Socket>),
}

type Answer = (RequestId, Result<Vec<u8>, FetchFailed>);
/// Requests under way; bounded by the session, which asks once per symbol and purpose.
type Answers = FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>;

impl Connection {
    /// Connects and reconnects until `stop`, then publishes what is pending.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut outbox = Outbox::new(self.metrics.clone());
        let mut backoff = Backoff::new(self.reconnect);
        let mut successor: Option<Box<Socket>> = None;
        loop {
            let dialed = match successor.take() {
                Some(socket) => Ok(*socket),
                None => tokio::select! {
                    dialed = self.dialer.dial(self.path.unwrap_or_default()) => dialed,
                    () = stop.cancelled() => break,
                },
            };
            let opened = Instant::now();
            let mut stable_for = Duration::ZERO;
            match dialed {
                Ok(socket) => {
                    self.opened();
                    let ended = self.serve(socket, &mut outbox, &stop).await;
                    stable_for = opened.elapsed();
                    self.closed();
                    self.session.closed(LINK, clock::now(), &mut outbox);
                    match ended {
                        Ended::Stopped => break,
                        Ended::Replaced(socket) => {
                            successor = Some(socket);
                            continue;
                        }
                        Ended::Lost(reason) => {
                            tracing::warn!(
                                exchange = self.exchange,
                                connection = self.name,
                                reason,
                                "connection lost"
                            );
                        }
                    }
                    self.deliver(&mut outbox).await;
                }
                Err(error) => {
                    self.metrics.socket.connect_failures_total.increment(1);
                    tracing::warn!(exchange = self.exchange, connection = self.name, %error, "no connection");
                }
            }
            self.tell_board();
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay(stable_for)) => {}
                () = stop.cancelled() => break,
            }
        }
        self.session.drain(clock::now(), &mut outbox);
        self.deliver(&mut outbox).await;
    }

    async fn serve(&mut self, mut socket: Socket, outbox: &mut Outbox, stop: &CancellationToken) -> Ended {
        let mut answers = Answers::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Instant::now();
        let mut closing: Option<Instant> = None;
        let mut successor: Pin<Box<dyn Future<Output = Result<Socket, Report>> + Send>> =
            Box::pin(std::future::pending());
        let mut dialing = false;
        self.session.opened(LINK, clock::now(), outbox);
        loop {
            if let Err(reason) = self.perform(&mut socket, outbox, &mut answers).await {
                return Ended::Lost(reason);
            }
            match outbox.lost.take() {
                Some(Lost::Announced | Lost::Stale(_)) if !dialing => {
                    tracing::info!(
                        exchange = self.exchange,
                        connection = self.name,
                        "the exchange will close; opening a successor"
                    );
                    (dialing, successor) = (true, self.dial_successor());
                }
                None | Some(Lost::Announced | Lost::Stale(_)) => {}
                Some(reason @ (Lost::Silence | Lost::Refused(_))) => return Ended::Lost(reason.to_string()),
            }
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(Ok(message)) => self.received(&message, outbox),
                    _ if closing.is_some() => {
                        self.finish_requests(answers, outbox).await;
                        return Ended::Stopped;
                    }
                    Some(Err(error)) => return Ended::Lost(Report::from(error).to_string()),
                    None => return Ended::Lost("closed by the exchange".to_owned()),
                },
                Some((id, answer)) = answers.next() => {
                    let answer = answer.as_deref().map_err(Clone::clone);
                    let outcome = self.session.fetched(id, answer, clock::now(), outbox);
                    self.count_rejected(outcome);
                }
                _ = ticks.tick() => {
                    self.session.tick(clock::now(), outbox);
                    if told.elapsed() >= BOARD_INTERVAL {
                        told = Instant::now();
                        self.tell_board();
                    }
                    if closing.is_some_and(|since| since.elapsed() > CLOSE_TIMEOUT) {
                        return Ended::Stopped;
                    }
                }
                dialed = &mut successor => match dialed {
                    Ok(socket) => return Ended::Replaced(Box::new(socket)),
                    Err(error) => {
                        tracing::warn!(exchange = self.exchange, connection = self.name, %error, "no successor yet");
                        successor = self.dial_successor();
                    }
                },
                () = stop.cancelled(), if closing.is_none() => {
                    closing = Some(Instant::now());
                    if socket.close(None).await.is_err() {
                        return Ended::Stopped;
                    }
                }
            }
        }
    }

    /// Takes the answers that are under way: a hole being filled when SIGTERM comes is filled, not declared.
    async fn finish_requests(&mut self, mut answers: Answers, outbox: &mut Outbox) {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        while let Ok(Some((id, answer))) = tokio::time::timeout_at(deadline, answers.next()).await {
            let outcome =
                self.session.fetched(id, answer.as_deref().map_err(Clone::clone), clock::now(), outbox);
            self.count_rejected(outcome);
            self.request(outbox, &mut answers);
            self.deliver(outbox).await;
        }
    }

    fn request(&self, outbox: &mut Outbox, answers: &mut Answers) {
        for Request { id, path, weight, .. } in outbox.fetches.drain(..) {
            let rest = self.rest.clone();
            answers.push(Box::pin(async move { (id, rest.get(&path, weight).await) }));
        }
    }

    fn dial_successor(&self) -> Pin<Box<dyn Future<Output = Result<Socket, Report>> + Send>> {
        let (dialer, path) = (self.dialer.clone(), self.path);
        Box::pin(async move { dialer.dial(path.unwrap_or_default()).await })
    }

    fn received(&mut self, message: &Message, outbox: &mut Outbox) {
        let now = clock::now();
        let frame = match message {
            Message::Text(text) => Frame::Text(text),
            Message::Binary(bytes) => Frame::Binary(bytes),
            // Pings are answered by the WebSocket layer; a close frame is followed by the end of the stream.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        self.metrics.socket.frames_received_total.increment(1);
        self.metrics.socket.frame_bytes_received_total.increment(message.len() as u64);
        let outcome = self.session.frame(LINK, frame, now, outbox);
        self.count_rejected(outcome);
    }

    fn count_rejected(&self, outcome: Result<(), Rejected>) {
        if let Err(rejected) = outcome {
            self.metrics.rejected(rejected.reason);
            tracing::warn!(exchange = self.exchange, connection = self.name, %rejected, "frame rejected");
        }
    }

    /// Performs what the session asked for, in an order that keeps data ahead of new work.
    async fn perform(
        &mut self,
        socket: &mut Socket,
        outbox: &mut Outbox,
        answers: &mut Answers,
    ) -> Result<(), String> {
        self.deliver(outbox).await;
        self.request(outbox, answers);
        for text in outbox.sends.drain(..) {
            socket.send(Message::text(text)).await.map_err(|error| Report::from(error).to_string())?;
        }
        Ok(())
    }

    /// Waits for room in the queue: a full one stops the reading of the socket, and nothing is dropped here.
    async fn deliver(&mut self, outbox: &mut Outbox) {
        for message in outbox.messages.drain(..) {
            if self.queue.send(message).await.is_err() {
                // Only when the publisher died, which ends the process.
                return;
            }
        }
    }

    fn opened(&self) {
        self.metrics.socket.connects_total.increment(1);
        self.metrics.socket.connection_up.set(1);
        tracing::info!(exchange = self.exchange, connection = self.name, "connected");
    }

    fn closed(&self) {
        self.metrics.socket.disconnects_total.increment(1);
        self.metrics.socket.connection_up.set(0);
    }

    fn tell_board(&self) {
        self.board.streams(self.exchange, &self.name, self.session.status(clock::now()));
    }
}
