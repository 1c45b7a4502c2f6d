//! One exchange's half of a connection: what a client may say and what it is answered. The socket itself, its queue
//! and its end are `connection.rs`.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::ws::Message;
use tokio::time::Instant;

use crate::connection::{Connection, End};
use crate::hub::Hub;

/// What a session wants done: messages written, in this order and before anything that is queued; or the end.
pub(crate) type Step = ControlFlow<End, Vec<Message>>;

/// The exchange's rules for one connection. No I/O: the connection's task calls it and writes what it answers.
pub(crate) trait Session: Send {
    /// The connection is open: subscriptions that the URL asked for are made here.
    fn opened(&mut self, _connection: &Arc<Connection>, _hub: &Hub) {}

    /// Any message came in, a pong included: for limits that count them all.
    fn received(&mut self, _now: Instant) -> ControlFlow<End> {
        ControlFlow::Continue(())
    }

    /// A text came in. Subscriptions made here may send at once: the answers overtake them.
    fn request(&mut self, text: &str, connection: &Arc<Connection>, hub: &Hub) -> Step;

    /// A pong came in.
    fn pong(&mut self, _payload: &[u8]) {}

    /// When `tick` is wanted, given when something was last sent or received. May be in the past: then it is at once.
    fn next_at(&self, active_at: Instant) -> Instant;

    /// The time of `next_at` has come: keep-alive, or the end of a client that broke its rules.
    fn tick(&mut self, now: Instant, active_at: Instant) -> Step;
}

/// One text to write.
pub(crate) fn reply(text: impl Into<axum::extract::ws::Utf8Bytes>) -> Step {
    ControlFlow::Continue(vec![Message::Text(text.into())])
}
