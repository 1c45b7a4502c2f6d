//! Bodies: a request's, which may not stand still, and an answer's, whose end makes the connection idle again.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::Limits;
use super::metrics::{Limit, Meter};
use super::standing::Standing;

/// A request's body. Its times run while the service waits for the client, never while the client waits for the service.
pub(super) struct RequestBody {
    body: Incoming,
    idle: Duration,
    /// When all of it must be there.
    end: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
    is_over: bool,
    meter: Meter,
    peer: IpAddr,
}

impl RequestBody {
    /// `body` under `limits`, as a router takes it.
    pub(super) fn limited(body: Incoming, limits: &Limits, meter: &Meter, peer: IpAddr) -> Body {
        if body.is_end_stream() {
            return Body::new(body);
        }
        let now = Instant::now();
        Body::new(Self {
            body,
            idle: limits.body_idle,
            end: limits.body.map(|limit| now + limit),
            timer: Box::pin(sleep_until(now)),
            is_waiting: false,
            is_over: false,
            meter: meter.clone(),
            peer,
        })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let idle = Instant::now() + self.idle;
            let at = self.end.map_or(idle, |end| end.min(idle));
            self.timer.as_mut().reset(at);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_over = true;
        self.meter.closed(Limit::BodyTimeout, self.peer);
        Poll::Ready(Some(Err("the body did not come in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body: when it is dropped, sent or not, the connection waits for the next request.
pub(super) struct AnswerBody {
    body: Body,
    standing: Arc<Standing>,
}

impl AnswerBody {
    pub(super) fn new(body: Body, standing: Arc<Standing>) -> Self {
        Self { body, standing }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.standing.end();
    }
}
