//! One connection of OKX's: text pings, subscriptions with an acknowledgement each, and the idle limit.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use tokio::time::Instant;

use super::channel::{Channel, Resolved, Route, resolve};
use super::requests::{self, ARGS_BYTES_MAX, Operation, Request};
use super::{first_push, frames};
use crate::config::LimitsConfig;
use crate::connection::{Connection, End};
use crate::hub::Hub;
use crate::session::{Session, Step, reply};
use crate::streams::Stream;

/// Subscriptions and the like are counted by the hour.
const OPERATIONS_WINDOW: Duration = Duration::from_secs(3600);

/// The state behind one socket of `/ws/v5/…`.
#[derive(Debug)]
pub(crate) struct OkxSession {
    route: Route,
    idle_timeout: Duration,
    operations_max: usize,
    /// When each operation of the last hour was.
    operations: VecDeque<Instant>,
    /// What is subscribed, by its argument.
    subscribed: BTreeMap<String, Vec<Stream>>,
}

impl OkxSession {
    pub(crate) fn new(route: Route, limits: &LimitsConfig) -> Self {
        Self {
            route,
            idle_timeout: limits.okx_idle_timeout.get(),
            operations_max: limits.okx_operations_per_hour,
            operations: VecDeque::new(),
            subscribed: BTreeMap::new(),
        }
    }

    /// Counts an operation; false when there were too many within the hour.
    fn may_operate(&mut self, now: Instant) -> bool {
        while self.operations.front().is_some_and(|first| now.duration_since(*first) >= OPERATIONS_WINDOW) {
            self.operations.pop_front();
        }
        if self.operations.len() >= self.operations_max {
            return false;
        }
        self.operations.push_back(now);
        true
    }

    fn subscribe(&mut self, name: &str, resolved: Resolved, connection: &Arc<Connection>, hub: &Hub) {
        let Resolved { channel, streams } = resolved;
        // Asked for again: acknowledged, and nothing else happens.
        if self.subscribed.contains_key(name) {
            return;
        }
        for &stream in &streams {
            if channel == Channel::Books {
                let Some(instrument) = hub.catalogue.get(stream.instrument) else { continue };
                hub.subscribe_with_book(stream, connection, name, frames::BOOK_LEVELS, |book| {
                    frames::book(instrument, stream.instrument, book)
                });
            } else {
                hub.subscriptions.add(stream, connection, name);
            }
        }
        first_push::send(hub, connection, channel, name, &streams);
        self.subscribed.insert(name.to_owned(), streams);
    }

    /// False when it was not subscribed.
    fn unsubscribe(&mut self, name: &str, connection: &Connection, hub: &Hub) -> bool {
        let Some(streams) = self.subscribed.remove(name) else { return false };
        for stream in streams {
            hub.subscriptions.remove(stream, connection.id, name);
        }
        true
    }
}

impl Session for OkxSession {
    fn request(&mut self, text: &str, connection: &Arc<Connection>, hub: &Hub) -> Step {
        if text == "ping" {
            return reply("pong");
        }
        if text.len() > ARGS_BYTES_MAX {
            return ControlFlow::Break(End::Close(1009, "Request message exceeds the maximum frame length"));
        }
        let connection_id = frames::connection_id(connection);
        let Request { id, op, args } = match requests::parse(text) {
            Ok(request) => request,
            Err((code, message)) => return reply(requests::error(None, code, &message, &connection_id)),
        };
        let id = id.as_deref();
        if !self.may_operate(Instant::now()) {
            return reply(requests::error(id, "60014", "Requests too frequent", &connection_id));
        }
        let mut answers = Vec::with_capacity(args.len());
        for arg in args {
            let name = arg.name();
            // What was delisted meanwhile can still be unsubscribed.
            let is_known = match (op, resolve(&arg, self.route, &hub.catalogue)) {
                (Operation::Subscribe, Some(resolved)) => {
                    self.subscribe(&name, resolved, connection, hub);
                    true
                }
                (Operation::Subscribe, None) => false,
                (Operation::Unsubscribe, resolved) => {
                    self.unsubscribe(&name, connection, hub) || resolved.is_some()
                }
            };
            let answer = if is_known {
                requests::acknowledged(id, op, &name, &connection_id)
            } else {
                requests::error(id, "60018", &requests::unknown(&arg), &connection_id)
            };
            answers.push(Message::Text(answer.into()));
        }
        ControlFlow::Continue(answers)
    }

    fn next_at(&self, active_at: Instant) -> Instant {
        active_at + self.idle_timeout
    }

    fn tick(&mut self, now: Instant, active_at: Instant) -> Step {
        if now.duration_since(active_at) >= self.idle_timeout {
            return ControlFlow::Break(End::Close(4004, "No data received in 30s."));
        }
        ControlFlow::Continue(Vec::new())
    }
}
