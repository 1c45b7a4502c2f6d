//! One planned connection: performs the effects of its session, whatever the exchange, on as many sockets as it has.
//!
//! One task reads its sockets ([`links`]), ticks the session's clock and makes its REST requests; it waits for nobody, so
//! that a slow broker, a slow answer or one bad socket holds nothing else up. The session lives as long as the connection
//! is planned, across reconnects. When told to stop, the sockets are closed by the protocol's handshake and read to their
//! end, so that no frame the exchange sent is dropped; then the session drains.

mod config;
mod link;
mod links;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use futures_util::stream::FuturesUnordered;
use marketprism_core::{DataType, Timestamp};
use marketprism_exchanges::{FetchFailed, Frame, Link, Pressure, Rejected, RequestId, Session};
use marketprism_service::CancellationToken;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

use crate::clock;
use crate::missed::Abandoned;
use crate::outbox::Outbox;
use crate::overflow::Overflow;
use crate::rest::Rest;
use crate::snapshots::Snapshots;
use crate::tap::{Tap, TapEvent, Tapped};
use links::{LinkEvent, Links, LinksConfig};

pub(crate) use config::{COMMANDS_MAX, Command, ConnectionConfig, Shared};

/// How often the session's clock ticks; the finest publish interval of books.
const TICK: Duration = Duration::from_millis(20);
/// How often the board is told.
const BOARD_INTERVAL: Duration = Duration::from_secs(1);
/// How long answers under way are waited for at the end; a request takes a few hundred milliseconds.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection that is to end waits for the broker.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

type Answer = (RequestId, Result<Result<Bytes, FetchFailed>, Aborted>);

/// A running connection.
pub(crate) struct Connection {
    exchange: &'static str,
    name: Arc<str>,
    session: Box<dyn Session>,
    redundancy: u64,
    links: Links,
    outbox: Outbox,
    rest: Rest,
    snapshots: Option<Snapshots>,
    /// Requests under way; bounded by the session, which has eight open and forgets the others.
    answers: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    abort: BTreeMap<RequestId, AbortHandle>,
    commands: mpsc::Receiver<Command>,
    pressure: watch::Receiver<Pressure>,
    /// What the session was told last.
    pressure_told: Pressure,
    board_told: Instant,
    tap: Tap,
    abandoned: Abandoned,
    shutdown: CancellationToken,
}

impl Connection {
    pub(crate) fn new(config: ConnectionConfig) -> Self {
        let ConnectionConfig { exchange, name, path, metrics, shared, .. } = config;
        let post = shared.board.post(exchange, &name);
        let links =
            LinksConfig { redundancy: config.redundancy, reconnect: shared.reconnect, life: config.life };
        Self {
            exchange,
            session: config.session,
            redundancy: config.redundancy as u64,
            links: Links::new((exchange, &name), path, config.dialer, links, metrics.socket.clone()),
            outbox: Outbox::new(Overflow::new(shared.queue, &shared.queues), post, metrics),
            rest: config.rest,
            snapshots: config.snapshots,
            answers: FuturesUnordered::new(),
            abort: BTreeMap::new(),
            commands: config.commands,
            pressure: shared.pressure,
            pressure_told: Pressure::None,
            board_told: Instant::now(),
            tap: shared.tap,
            abandoned: shared.abandoned,
            shutdown: shared.shutdown,
            name: name.into(),
        }
    }

    /// Runs until `stop`, then publishes what is pending.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopping = false;
        while !(is_stopping && self.links.is_over()) {
            tokio::select! {
                event = self.links.next() => self.linked(event),
                Some((id, answer)) = self.answers.next() => self.answered(id, &answer),
                has_room = self.outbox.overflow.has_room() => match has_room {
                    true => self.outbox.overflow.flush(),
                    // The publisher died, which ends the process.
                    false => return,
                },
                Some(command) = self.commands.recv() => self.obey(command),
                _ = ticks.tick() => self.tick(),
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.links.stop();
                }
            }
            self.perform();
        }
        self.finish_requests().await;
        self.session.drain(clock::now(), self.outbox.received());
        self.finish_delivery().await;
        self.tell_board();
    }

    fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Opened(link) => {
                let now = clock::now();
                self.tapped(now, || TapEvent::Opened(link));
                // Links are counted up from one.
                if link.0 > self.redundancy {
                    self.outbox.metrics.websocket.reconnections_total.increment(1);
                }
                self.session.opened(link, now, self.outbox.received());
            }
            LinkEvent::Closed(link) => {
                let now = clock::now();
                self.tapped(now, || TapEvent::Closed(link));
                self.session.closed(link, now, self.outbox.received());
            }
            LinkEvent::Frame(link, message) => self.frame(link, &message),
        }
    }

    fn frame(&mut self, link: Link, message: &Message) {
        let now = clock::now();
        let frame = match message {
            Message::Text(text) => {
                self.tapped(now, || TapEvent::Text(link, text.clone()));
                Frame::Text(text)
            }
            Message::Binary(bytes) => {
                self.tapped(now, || TapEvent::Binary(link, bytes.clone()));
                Frame::Binary(bytes)
            }
            // Pings are answered by the WebSocket layer; a close frame is followed by the end of the stream.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        let metrics = &self.outbox.metrics.socket;
        metrics.frames_received_total.increment(1);
        metrics.frame_bytes_received_total.increment(message.len() as u64);
        let outcome = self.session.frame(link, frame, now, self.outbox.received());
        self.count_rejected(outcome);
    }

    fn answered(&mut self, id: RequestId, answer: &Result<Result<Bytes, FetchFailed>, Aborted>) {
        let now = clock::now();
        self.abort.remove(&id);
        let Ok(answer) = answer else { return };
        self.tapped(now, || TapEvent::Answered(id, answer.clone()));
        let answer = answer.as_deref().map_err(Clone::clone);
        let outcome = self.session.fetched(id, answer, now, self.outbox.received());
        self.count_rejected(outcome);
    }

    fn obey(&mut self, command: Command) {
        let now = clock::now();
        match command {
            Command::SetInstruments(instruments) => {
                // Instruments always serialise.
                self.tapped(now, || {
                    TapEvent::Instruments(serde_json::to_string(&instruments).unwrap_or_default())
                });
                self.session.set_instruments(instruments, now, self.outbox.received());
            }
            Command::Resync { market_type, symbol, reply } => {
                let is_here = self.session.resync(market_type, &symbol, now, self.outbox.received());
                // Whoever asked may have given up.
                reply.send(is_here).ok();
            }
        }
        self.tell_board();
    }

    fn tick(&mut self) {
        let now = clock::now();
        self.links.tick(|link| self.session.is_subscribed(link));
        self.session.tick(now, self.outbox.received());
        self.outbox.overflow.flush();
        self.outbox.declare_shed(now);
        // While messages wait for the queue, books would only fill it further: their updates are counted in the next one.
        let behind = if self.outbox.overflow.is_behind() { Pressure::HoldBooks } else { Pressure::None };
        let pressure = behind.max(*self.pressure.borrow());
        if pressure != self.pressure_told {
            self.pressure_told = pressure;
            self.session.set_pressure(pressure);
        }
        if self.board_told.elapsed() >= BOARD_INTERVAL {
            self.tell_board();
        }
    }

    /// Performs what the session asked for.
    fn perform(&mut self) {
        for request in std::mem::take(&mut self.outbox.fetches) {
            self.tapped(clock::now(), || TapEvent::Asked(request.clone()));
            let rest = self.rest.clone();
            let (id, (handle, registration)) = (request.id, AbortHandle::new_pair());
            self.abort.insert(id, handle);
            let snapshots = self.snapshots.clone().filter(|_| request.data_type == DataType::OrderBook);
            let answer = async move { rest.get(&request.path, request.weight, request.limit).await };
            let answer = Abortable::new(answer, registration);
            self.answers.push(Box::pin(async move {
                let asked = Instant::now();
                let answer = answer.await;
                if let Some(snapshots) = snapshots {
                    snapshots.ended(asked, &answer);
                }
                (id, answer)
            }));
        }
        // One that still waits for the exchange's budget must not use it up for nothing.
        for id in self.outbox.forgotten.drain(..) {
            if let Some(handle) = self.abort.remove(&id) {
                handle.abort();
            }
        }
        for (link, text) in std::mem::take(&mut self.outbox.sends) {
            self.tapped(clock::now(), || TapEvent::Sent(link, text.clone()));
            self.links.send(link, text);
        }
        for (link, why) in self.outbox.lost.drain(..) {
            self.links.replace(link, &why);
        }
    }

    /// Takes the answers that are under way: a hole being filled when SIGTERM comes is filled, not declared.
    async fn finish_requests(&mut self) {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        while let Ok(Some((id, answer))) = tokio::time::timeout_at(deadline, self.answers.next()).await {
            self.answered(id, &answer);
            self.perform();
        }
    }

    /// Hands over everything that waits, and declares what was shed. When the process stops its grace period bounds it; when
    /// only this connection does, a deadline, for somebody waits to give the next order.
    async fn finish_delivery(&mut self) {
        let deadline = Instant::now() + DELIVERY_TIMEOUT;
        loop {
            self.outbox.overflow.flush();
            self.outbox.declare_shed(clock::now());
            if !self.outbox.overflow.is_behind() {
                return;
            }
            tokio::select! {
                has_room = self.outbox.overflow.has_room() => if !has_room {
                    return;
                },
                () = tokio::time::sleep_until(deadline), if !self.shutdown.is_cancelled() => {
                    let waiting = self.outbox.overflow.waiting();
                    tracing::warn!(connection = %self.name, waiting, "given up: the broker takes nothing");
                    self.abandoned.with(|missed| self.outbox.overflow.abandon(missed, clock::now()));
                    return;
                }
            }
        }
    }

    fn count_rejected(&self, outcome: Result<(), Rejected>) {
        if let Err(rejected) = outcome {
            self.outbox.metrics.rejected(rejected.reason);
            tracing::warn!(exchange = self.exchange, connection = %self.name, %rejected, "frame rejected");
        }
    }

    /// `now` is what the session is told, so that a replay tells it the same.
    fn tapped(&self, now: Timestamp, event: impl FnOnce() -> TapEvent) {
        self.tap.pass(|| Tapped {
            integration: self.exchange,
            connection: self.name.clone(),
            received: now,
            event: event(),
        });
    }

    fn tell_board(&mut self) {
        self.board_told = Instant::now();
        self.outbox.metrics.socket.overflow_messages.set(self.outbox.overflow.waiting());
        self.outbox.metrics.websocket.connected.set(u32::from(self.links.open() > 0));
        self.outbox.post.write(self.session.status(clock::now()), self.links.open());
    }
}
