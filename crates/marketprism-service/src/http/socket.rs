//! A TCP stream that knows how long its client may take: for a request's head, between two requests, and to take what is written.
//!
//! hyper has a timeout for heads only, and it runs between two requests as well. Here is one timer for reading and one for writing;
//! either ends the connection with an error that hyper takes for one of the network. A WebSocket goes on with the same stream after
//! hyper has left it, and keeps its place in the listener.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;
use super::metrics::{Limit, Meter};
use super::places::Place;

/// See the module.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    place: Place,
    meter: Meter,
    reading: Reading,
    writing: Alarm,
    write_stall: Duration,
}

/// What the client is waited for to say.
#[derive(Debug)]
struct Reading {
    head: Duration,
    keep_alive: Duration,
    /// The requests of the connection when the alarm was set: another number means that it is about an earlier one.
    requests: u64,
    /// Part of a head is there.
    in_head: bool,
    alarm: Alarm,
}

/// A timer that exists only after it was needed once: most answers are taken at once.
#[derive(Debug, Default)]
struct Alarm {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn clear(&mut self) {
        self.at = None;
    }

    /// Sets it, unless it is set already.
    fn set(&mut self, after: Duration) {
        if self.at.is_none() {
            let at = Instant::now() + after;
            self.at = Some(at);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(at),
                None => self.timer = Some(Box::pin(sleep_until(at))),
            }
        }
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        match (&self.at, &mut self.timer) {
            (Some(_), Some(timer)) => timer.as_mut().poll(cx).is_ready(),
            _ => false,
        }
    }
}

impl Socket {
    pub(super) fn new(stream: TcpStream, place: Place, limits: &Limits, meter: Meter) -> Self {
        let reading = Reading {
            head: limits.head,
            keep_alive: limits.keep_alive,
            requests: 0,
            in_head: false,
            alarm: Alarm::default(),
        };
        Self { stream, place, meter, reading, writing: Alarm::default(), write_stall: limits.write_stall }
    }

    /// Nothing is there to read: whether that has lasted too long.
    fn waited_for(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reading = &mut self.reading;
        if self.place.standing.is_busy() {
            // What the client sends then is a body, which is timed where it is waited for, or nothing.
            reading.alarm.clear();
            reading.in_head = false;
            return Poll::Pending;
        }
        reading.begin(self.place.standing.requests());
        // A client that connects has something to say: a new connection is not kept for its own sake.
        let patience = if reading.requests == 0 { reading.head } else { reading.keep_alive };
        reading.alarm.set(patience);
        if !reading.alarm.is_over(cx) {
            return Poll::Pending;
        }
        if reading.requests == 0 || reading.in_head {
            self.meter.closed(Limit::HeadTimeout, self.place.peer.ip());
        } else {
            tracing::debug!(peer = %self.place.peer, "closed a connection without requests");
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client sent no request in time")))
    }

    /// Something of an answer's end was taken: from here on the client is idle. The timer is started here, because hyper may not read
    /// again before something happens.
    fn rest(&mut self, cx: &mut Context<'_>) {
        let reading = &mut self.reading;
        reading.begin(self.place.standing.requests());
        if !reading.in_head {
            self.place.standing.end();
            reading.alarm.clear();
            reading.alarm.set(reading.keep_alive);
            // What it says is asked for where the next request is read.
            let _: bool = reading.alarm.is_over(cx);
        }
    }

    /// Something was read.
    fn heard(&mut self) {
        if self.place.standing.is_busy() {
            return;
        }
        let reading = &mut self.reading;
        reading.begin(self.place.standing.requests());
        if !reading.in_head {
            reading.in_head = true;
            if reading.requests > 0 {
                reading.alarm.clear();
            }
            reading.alarm.set(reading.head);
        }
    }

    /// What was written, or whether nothing could be for too long.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.writing.clear();
            if !self.place.standing.is_busy() {
                self.rest(cx);
            }
            return result;
        }
        self.writing.set(self.write_stall);
        if !self.writing.is_over(cx) {
            return Poll::Pending;
        }
        self.meter.closed(Limit::WriteStall, self.place.peer.ip());
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client did not take the answer in time",
        )))
    }
}

impl Reading {
    /// Forgets what was about an earlier request.
    fn begin(&mut self, requests: u64) {
        if self.requests != requests {
            self.requests = requests;
            self.in_head = false;
            self.alarm.clear();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.waited_for(cx),
            ready => {
                if buffer.filled().len() > before {
                    self.heard();
                }
                ready
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
