//! One connection of Binance's: requests, subscriptions, server pings, and how often a client may speak.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use serde_json::Value;
use tokio::time::Instant;

use super::pings::Pings;
use super::requests::{self, Command, Request};
use super::stream_name::{Route, resolve};
use crate::config::LimitsConfig;
use crate::connection::{Connection, End};
use crate::hub::Hub;
use crate::session::{Session, Step, reply};
use crate::streams::Stream;

/// The state behind one socket of `/ws`, `/stream` and their USDⓈ-M kin.
#[derive(Debug)]
pub(crate) struct BinanceSession {
    route: Route,
    combined: bool,
    /// Streams of the URL, until the connection is open.
    url_names: Vec<String>,
    /// What is subscribed, by its name; nothing stands behind a name that the exchange does not know.
    names: BTreeMap<String, Vec<Stream>>,
    names_max: usize,
    pings: Pings,
    incoming: IncomingRate,
}

impl BinanceSession {
    pub(crate) fn new(route: Route, combined: bool, url_names: Vec<String>, limits: &LimitsConfig) -> Self {
        let now = Instant::now();
        Self {
            route,
            combined,
            url_names,
            names: BTreeMap::new(),
            names_max: limits.streams_per_connection_max,
            pings: Pings::new(limits.ping_interval.get(), limits.pong_timeout.get(), now),
            incoming: IncomingRate { window_start: now, count: 0, max: route.incoming_per_second_max() },
        }
    }

    fn subscribe(&mut self, names: Vec<String>, connection: &Arc<Connection>, hub: &Hub) {
        for name in names {
            if self.names.contains_key(&name) {
                continue;
            }
            let streams = resolve(&name, self.route, &hub.catalogue);
            for &stream in &streams {
                hub.subscriptions.add(stream, connection, &name);
            }
            self.names.insert(name, streams);
        }
    }

    fn unsubscribe(&mut self, names: &[String], connection: &Connection, hub: &Hub) {
        for name in names {
            for stream in self.names.remove(name).unwrap_or_default() {
                hub.subscriptions.remove(stream, connection.id, name);
            }
        }
    }
}

impl Session for BinanceSession {
    fn opened(&mut self, connection: &Arc<Connection>, hub: &Hub) {
        connection.set_combined(self.combined);
        let names = std::mem::take(&mut self.url_names);
        self.subscribe(names, connection, hub);
    }

    fn received(&mut self, now: Instant) -> ControlFlow<End> {
        if self.incoming.is_exceeded(now) {
            return ControlFlow::Break(End::Close(1008, "Too many requests"));
        }
        ControlFlow::Continue(())
    }

    fn request(&mut self, text: &str, connection: &Arc<Connection>, hub: &Hub) -> Step {
        let Request { id, command } = match requests::parse(text, self.route) {
            Ok(request) => request,
            Err(refusal) => return reply(refusal),
        };
        let result = match command {
            Command::Subscribe(names) if self.names.len() + names.len() > self.names_max => {
                let max = self.names_max;
                return reply(requests::invalid(&format!("more than {max} streams on one connection")));
            }
            Command::Subscribe(names) => {
                self.subscribe(names, connection, hub);
                Value::Null
            }
            Command::Unsubscribe(names) => {
                self.unsubscribe(&names, connection, hub);
                Value::Null
            }
            Command::ListSubscriptions => self.names.keys().cloned().collect(),
            Command::SetCombined(combined) => {
                connection.set_combined(combined);
                Value::Null
            }
            Command::GetCombined => Value::Bool(connection.is_combined()),
        };
        reply(requests::result(&id, &result))
    }

    fn pong(&mut self, payload: &[u8]) {
        self.pings.answered(payload);
    }

    fn next_at(&self, _active_at: Instant) -> Instant {
        self.pings.next_at()
    }

    fn tick(&mut self, now: Instant, _active_at: Instant) -> Step {
        match self.pings.due(now) {
            Some(payload) => ControlFlow::Continue(vec![Message::Ping(payload.into_bytes().into())]),
            None => ControlFlow::Break(End::Drop),
        }
    }
}

/// Client messages of the running second. Pongs count, too.
#[derive(Debug)]
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
