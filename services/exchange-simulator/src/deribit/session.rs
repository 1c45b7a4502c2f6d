//! One client's half of a connection: subscriptions, heartbeat, credits. The socket itself is `connection.rs`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use serde_json::json;
use tokio::time::Instant;

use super::channel::{needs_authorization, resolve};
use super::credits::Credits;
use super::frames::object;
use super::heartbeat::{Due, Heartbeat};
use super::rpc::{self, Method, Parameters, Query, Request, RpcError};
use super::{methods, publish};
use crate::config::LimitsConfig;
use crate::connection::{Connection, End, Outgoing};
use crate::exchange::Exchange;
use crate::hub::Hub;
use crate::session::{Session, Step, reply};
use crate::streams::{Feed, Stream};

/// A `public/set_heartbeat` below it is refused.
const HEARTBEAT_SECONDS_MIN: u64 = 10;
/// Far beyond any test: nothing is due on a socket that has subscriptions and no heartbeat.
const NEVER: Duration = Duration::from_secs(30 * 86_400);

/// What the exchange knows of one client.
#[derive(Debug)]
pub(crate) struct Client {
    channels: BTreeMap<String, Stream>,
    heartbeat: Option<Heartbeat>,
    credits: Credits,
    idle_timeout: Duration,
    heartbeat_max: Duration,
}

impl Client {
    pub(crate) fn new(limits: &LimitsConfig, now: Instant) -> Self {
        Self {
            channels: BTreeMap::new(),
            heartbeat: None,
            credits: Credits::of_socket(now),
            idle_timeout: limits.deribit_idle_timeout.get(),
            heartbeat_max: limits.deribit_heartbeat_max.get(),
        }
    }

    fn call(
        &mut self,
        request: &Request,
        connection: &Arc<Connection>,
        hub: &Hub,
    ) -> Result<String, RpcError> {
        let parameters = &request.parameters;
        match request.method {
            Method::Subscribe => self.subscribe(parameters.texts("channels")?, connection, hub),
            Method::Unsubscribe => {
                let names = parameters.texts("channels")?;
                let known = names.iter().filter_map(|name| self.channels.remove_entry(name)).collect();
                Ok(unsubscribe(&known, connection, hub))
            }
            Method::UnsubscribeAll => {
                unsubscribe(&std::mem::take(&mut self.channels), connection, hub);
                Ok(object(&"ok"))
            }
            Method::SetHeartbeat => self.set_heartbeat(parameters),
            Method::DisableHeartbeat => {
                self.heartbeat = None;
                Ok(object(&"ok"))
            }
            Method::Query(query) => {
                if let Some(heartbeat) = self.heartbeat.as_mut().filter(|_| query == Query::Test) {
                    heartbeat.answered();
                }
                methods::call(hub, query, parameters)
            }
        }
    }

    /// Answers with what was subscribed, in another order than asked; what does not exist is left out without a word,
    /// and one channel that needs an account refuses the whole call. What was active already sends nothing anew.
    fn subscribe(
        &mut self,
        names: Vec<String>,
        connection: &Arc<Connection>,
        hub: &Hub,
    ) -> Result<String, RpcError> {
        if names.iter().any(|name| needs_authorization(name)) {
            return Err(RpcError::raw_needs_authorization());
        }
        let known: BTreeMap<String, Stream> = names
            .into_iter()
            .filter_map(|name| resolve(&name, &hub.catalogue).map(|stream| (name, stream)))
            .collect();
        let result = object(&known.keys().rev().collect::<Vec<_>>());
        for (name, stream) in known {
            if self.channels.contains_key(&name) {
                continue;
            }
            match hub.catalogue.get(stream.instrument) {
                Some(instrument) if stream.feed == Feed::Depth => {
                    hub.subscribe_with_book(stream, connection, &name, usize::MAX, |book| {
                        publish::snapshot(stream.instrument, instrument, book)
                    });
                }
                _ => hub.subscriptions.add(stream, connection, &name),
            }
            self.channels.insert(name, stream);
        }
        Ok(result)
    }

    fn set_heartbeat(&mut self, parameters: &Parameters) -> Result<String, RpcError> {
        let missing = || RpcError::invalid_params("interval", "is missing");
        let seconds = parameters.optional_integer("interval")?.ok_or_else(missing)?;
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds >= HEARTBEAT_SECONDS_MIN);
        let seconds = seconds.ok_or_else(|| RpcError::invalid_params("interval", "must be at least 10"))?;
        let interval = Duration::from_secs(seconds).min(self.heartbeat_max);
        self.heartbeat = Some(Heartbeat::every(interval, Instant::now()));
        Ok(object(&"ok"))
    }
}

impl Session for Client {
    fn request(&mut self, text: &str, connection: &Arc<Connection>, hub: &Hub) -> Step {
        let received_us = hub.now_us(Exchange::Deribit);
        let (id, outcome) = match rpc::parse(text) {
            Err(refused) => (refused.id, Err(refused.error)),
            Ok(request) if !self.credits.spend(request.method, Instant::now()) => {
                let error = Err(RpcError::too_many_requests());
                let answer = rpc::answer(&request.id, &error, received_us, received_us);
                connection.announce(answer);
                connection.try_send(Outgoing::Close(1000, "too many requests"));
                return ControlFlow::Continue(Vec::new());
            }
            Ok(request) => {
                let outcome = self.call(&request, connection, hub);
                (request.id, outcome)
            }
        };
        reply(rpc::answer(&id, &outcome, received_us, hub.now_us(Exchange::Deribit)))
    }

    fn next_at(&self, active_at: Instant) -> Instant {
        match &self.heartbeat {
            Some(heartbeat) => heartbeat.next_at(),
            None if self.channels.is_empty() => active_at + self.idle_timeout,
            None => active_at + NEVER,
        }
    }

    fn tick(&mut self, now: Instant, active_at: Instant) -> Step {
        let Some(heartbeat) = &mut self.heartbeat else { return ControlFlow::Break(End::Drop) };
        let message = |kind: &str| {
            let text = json!({ "params": { "type": kind }, "method": "heartbeat", "jsonrpc": "2.0" });
            Message::Text(text.to_string().into())
        };
        match heartbeat.due(now, active_at) {
            Due::TestRequest { idle: true } => {
                ControlFlow::Continue(vec![message("heartbeat"), message("test_request")])
            }
            Due::TestRequest { idle: false } => ControlFlow::Continue(vec![message("test_request")]),
            Due::Unanswered => ControlFlow::Break(End::Close(4000, "heartbeat close")),
        }
    }
}

/// Answers with what was subscribed.
fn unsubscribe(known: &BTreeMap<String, Stream>, connection: &Connection, hub: &Hub) -> String {
    for (name, stream) in known {
        hub.subscriptions.remove(*stream, connection.id, name);
    }
    object(&known.keys().collect::<Vec<_>>())
}
