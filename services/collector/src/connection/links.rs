//! The sockets of one connection: which are open, which are to be opened, which leave.
//!
//! A connection has as many *lines* as its redundancy asks for (none where everything is polled), and each line wants one
//! link in service. A link whose life ends, or that the exchange will close, leaves: its line opens a successor first,
//! and the old one is closed, by the protocol's handshake and read to its end, once the successor has every stream
//! acknowledged and both have run side by side for a moment. A link that is lost is replaced after a pause.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use marketprism_exchanges::{LINKS_MAX, Link, Lost};
use marketprism_service::{Backoff, BackoffConfig, Report};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::link::OpenLink;
use crate::metrics::SocketMetrics;
use crate::socket::{Dialer, Socket};

/// What happened to a socket.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Opened(Link),
    Frame(Link, Message),
    Closed(Link),
}

/// How links are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinksConfig {
    /// Sockets kept open at once.
    pub(super) redundancy: usize,
    /// Pauses between attempts.
    pub(super) reconnect: BackoffConfig,
    /// How long a socket is used before it is replaced.
    pub(super) life: Option<Duration>,
}

type Dial = Pin<Box<dyn Future<Output = (usize, Result<Socket, Report>)> + Send>>;

pub(super) struct Links {
    /// For the log.
    exchange: &'static str,
    name: String,
    path: String,
    dialer: Dialer,
    life: Option<Duration>,
    stable_after: Duration,
    lines: Vec<Line>,
    /// At most [`LINKS_MAX`].
    open: Vec<OpenLink>,
    /// At most one a line.
    dials: FuturesUnordered<Dial>,
    /// What happened and was not told yet; a few, told before anything else happens.
    events: VecDeque<LinkEvent>,
    next_link: u64,
    turn: usize,
    is_stopping: bool,
    metrics: SocketMetrics,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("open", &self.open).field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// A place for one link in service.
#[derive(Debug)]
struct Line {
    backoff: Backoff,
    dial: Dialing,
}

#[derive(Debug)]
enum Dialing {
    /// Not before this.
    From(Instant),
    /// Under way.
    Now,
}

impl Links {
    pub(super) fn new(
        (exchange, name): (&'static str, &str),
        path: Option<&str>,
        dialer: Dialer,
        config: LinksConfig,
        metrics: SocketMetrics,
    ) -> Self {
        // Each may have a successor beside it.
        let wanted = if path.is_some() { config.redundancy.clamp(1, LINKS_MAX / 2) } else { 0 };
        let line = || Line { backoff: Backoff::new(config.reconnect), dial: Dialing::From(Instant::now()) };
        Self {
            exchange,
            name: name.to_owned(),
            path: path.unwrap_or_default().to_owned(),
            dialer,
            life: config.life,
            stable_after: config.reconnect.stable_after.get(),
            lines: (0..wanted).map(|_| line()).collect(),
            open: Vec::new(),
            dials: FuturesUnordered::new(),
            events: VecDeque::new(),
            next_link: 0,
            turn: 0,
            is_stopping: false,
            metrics,
        }
    }

    /// What happens next; never, where there is nothing to wait for. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> LinkEvent {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<LinkEvent> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        while let Poll::Ready(Some((line, dialed))) = self.dials.poll_next_unpin(cx) {
            if let Some(event) = self.dialed(line, dialed) {
                return Poll::Ready(event);
            }
        }
        let count = self.open.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let Some(open) = self.open.get_mut(at) else { break };
            let link = open.link;
            match open.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(message)) => {
                    self.turn = at + 1;
                    return Poll::Ready(LinkEvent::Frame(link, message));
                }
                Poll::Ready(Err(reason)) => {
                    self.lose(link, &reason);
                    return self.poll(cx);
                }
            }
        }
        Poll::Pending
    }

    /// Opens what is to be opened, lets leave what is too old, closes what has a successor. Called every few milliseconds;
    /// `is_subscribed` says whether everything wanted is acknowledged on a link.
    pub(super) fn tick(&mut self, is_subscribed: impl Fn(Link) -> bool) {
        self.open.iter_mut().for_each(|open| open.set_complete(is_subscribed(open.link)));
        for open in self.open.iter_mut().filter(|open| open.is_old()) {
            tracing::info!(
                exchange = self.exchange,
                connection = self.name,
                link = open.link.0,
                "planned roll-over"
            );
            open.leave();
        }
        let succeeded = |leaving: &&OpenLink| {
            leaving.is_leaving() && self.open.iter().any(|open| open.has_taken_over(leaving))
        };
        for link in self.links(succeeded) {
            self.close(link);
        }
        for link in self.links(|open| open.is_overdue()) {
            self.lose(link, "our close frame was not answered");
        }
        if !self.is_stopping {
            self.dial(Instant::now());
        }
    }

    /// Dials for every line that has no link in service and may.
    fn dial(&mut self, now: Instant) {
        for number in 0..self.lines.len() {
            let is_served = self.open.iter().any(|open| open.line == number && open.is_serving());
            let Some(line) = self.lines.get_mut(number) else { break };
            if is_served || !matches!(line.dial, Dialing::From(from) if from <= now) {
                continue;
            }
            if self.open.len() + self.dials.len() >= LINKS_MAX {
                // Successors that were announced away themselves: the oldest has had its time.
                if let Some(link) = self.links(|open| !open.is_serving()).into_iter().min() {
                    self.lose(link, "too many successors");
                }
                continue;
            }
            line.dial = Dialing::Now;
            let is_successor = self.open.iter().any(|open| open.line == number);
            let (dialer, path) = (self.dialer.clone(), self.path.clone());
            self.dials.push(Box::pin(async move { (number, dialer.dial(&path, is_successor).await) }));
        }
    }

    fn dialed(&mut self, number: usize, dialed: Result<Socket, Report>) -> Option<LinkEvent> {
        let now = Instant::now();
        let line = self.lines.get_mut(number)?;
        match dialed {
            Ok(socket) => {
                line.dial = Dialing::From(now);
                self.next_link += 1;
                let link = Link(self.next_link);
                self.open.push(OpenLink::new(link, number, socket, self.life));
                self.metrics.connects_total.increment(1);
                tracing::info!(exchange = self.exchange, connection = self.name, link = link.0, "connected");
                Some(LinkEvent::Opened(link))
            }
            Err(error) => {
                line.dial = Dialing::From(now + line.backoff.next_delay(Duration::ZERO));
                self.metrics.connect_failures_total.increment(1);
                tracing::warn!(exchange = self.exchange, connection = self.name, %error, "no connection");
                None
            }
        }
    }

    /// Sends a text frame; what cannot be sent loses the link.
    pub(super) fn send(&mut self, link: Link, text: String) {
        if let Some(Err(reason)) = self.find(link).map(|open| open.send(text)) {
            self.lose(link, &reason);
        }
    }

    /// Replaces a link as its session asks.
    pub(super) fn replace(&mut self, link: Link, why: &Lost) {
        match why {
            Lost::Silence | Lost::Refused(_) => self.lose(link, &why.to_string()),
            Lost::Announced | Lost::Stale(_) => {
                let Some(open) = self.find(link).filter(|open| open.is_serving()) else { return };
                open.leave();
                let (number, age) = (open.line, open.age());
                tracing::info!(exchange = self.exchange, connection = self.name, link = link.0, %why, "opening a successor");
                // One that says so again and again is not dialled at full speed.
                if age < self.stable_after
                    && let Some(line) = self.lines.get_mut(number)
                {
                    line.dial = Dialing::From(Instant::now() + line.backoff.next_delay(age));
                }
            }
        }
    }

    /// Closes every link by the handshake; frames still under way are brought by [`Self::next`].
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        self.dials.clear();
        for link in self.links(|_| true) {
            self.close(link);
        }
    }

    /// Whether every link is gone, and that was told.
    pub(super) fn is_over(&self) -> bool {
        self.open.is_empty() && self.events.is_empty()
    }

    fn find(&mut self, link: Link) -> Option<&mut OpenLink> {
        self.open.iter_mut().find(|open| open.link == link)
    }

    fn links(&self, which: impl Fn(&&OpenLink) -> bool) -> Vec<Link> {
        self.open.iter().filter(which).map(|open| open.link).collect()
    }

    fn close(&mut self, link: Link) {
        if let Some(Err(reason)) = self.find(link).map(OpenLink::close) {
            self.lose(link, &reason);
        }
    }

    /// Removes a link and tells it.
    fn lose(&mut self, link: Link, reason: &str) {
        let Some(at) = self.open.iter().position(|open| open.link == link) else { return };
        let gone = self.open.remove(at);
        self.events.push_back(LinkEvent::Closed(link));
        self.metrics.disconnects_total.increment(1);
        if gone.is_closing() {
            tracing::debug!(exchange = self.exchange, connection = self.name, link = link.0, "closed");
            return;
        }
        tracing::warn!(
            exchange = self.exchange,
            connection = self.name,
            link = link.0,
            reason,
            "connection lost"
        );
        // The line of one that was leaving dials already.
        if gone.is_serving()
            && let Some(line) = self.lines.get_mut(gone.line)
        {
            line.dial = Dialing::From(Instant::now() + line.backoff.next_delay(gone.age()));
        }
    }

    /// Sockets that are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}
