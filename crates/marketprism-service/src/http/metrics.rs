//! What a listener refuses and closes, in numbers and in the log. Names under `marketprism_http_` are interface.

use std::net::IpAddr;
use std::sync::Arc;

use metrics::Counter;
use metrics_derive::Metrics;

/// Connections of one listener that met a limit; labels `listener` and `reason`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_http")]
struct ConnectionMetrics {
    /// Connections that were refused or closed by a limit of the listener, by reason: `connections`, `address` (no place in all, or for
    /// this address), `displaced` (an idle one made room), `head_timeout`, `head_too_large`, `body_timeout`, `write_stall`.
    connections_refused_total: Counter,
}

/// Requests of one listener that the guard refused; labels `listener` and `reason`.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_http")]
struct RequestMetrics {
    /// Requests that were refused because a foreign web page sent them, by reason: the header that shows it (`origin`, `sec_fetch_site`,
    /// `host`).
    requests_refused_total: Counter,
}

/// Which limit a connection met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Connections,
    Address,
    Displaced,
    HeadTimeout,
    HeadTooLarge,
    BodyTimeout,
    WriteStall,
}

impl Limit {
    const ALL: [Self; 7] = [
        Self::Connections,
        Self::Address,
        Self::Displaced,
        Self::HeadTimeout,
        Self::HeadTooLarge,
        Self::BodyTimeout,
        Self::WriteStall,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Address => "address",
            Self::Displaced => "displaced",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::WriteStall => "write_stall",
        }
    }
}

/// The header that shows a foreign page.
pub(super) const FOREIGN_HEADERS: [&str; 3] = ["origin", "sec_fetch_site", "host"];

/// Counts and logs for one listener. Cheap to clone.
#[derive(Clone)]
pub(super) struct Meter(Arc<Counters>);

struct Counters {
    listener: &'static str,
    connections: [(Limit, ConnectionMetrics); 7],
    requests: [(&'static str, RequestMetrics); 3],
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Meter").field(&self.0.listener).finish()
    }
}

impl Meter {
    pub(super) fn new(listener: &'static str) -> Self {
        ConnectionMetrics::describe();
        RequestMetrics::describe();
        let labels = |reason| [("listener", listener), ("reason", reason)];
        Self(Arc::new(Counters {
            listener,
            connections: Limit::ALL
                .map(|limit| (limit, ConnectionMetrics::new_with_labels(&labels(limit.as_str())))),
            requests: FOREIGN_HEADERS
                .map(|header| (header, RequestMetrics::new_with_labels(&labels(header)))),
        }))
    }

    /// A connection from `peer` met this limit and is closed. The log samples repeated lines by itself.
    pub(super) fn closed(&self, limit: Limit, peer: IpAddr) {
        if let Some((_, metrics)) = self.0.connections.iter().find(|(one, _)| *one == limit) {
            metrics.connections_refused_total.increment(1);
        }
        let (listener, reason) = (self.0.listener, limit.as_str());
        tracing::warn!(listener, reason, %peer, "refused or closed a connection that met a limit");
    }

    /// A request from `peer` was refused for `header`, as `why` says.
    pub(super) fn foreign(&self, header: &str, peer: IpAddr, why: &str) {
        if let Some((_, metrics)) = self.0.requests.iter().find(|(one, _)| *one == header) {
            metrics.requests_refused_total.increment(1);
        }
        tracing::warn!(listener = self.0.listener, %peer, why, "refused a request of a foreign web page");
    }
}
