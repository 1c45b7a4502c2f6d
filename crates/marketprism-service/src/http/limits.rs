//! What one listener grants its clients. The numbers that all listeners share are here; a service changes what its clients need.

use std::time::Duration;

/// Limits of one listener. Every one of them is met by closing a connection, which is counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a request's head may take from its first byte (of a new connection: from the handshake) to its last.
    pub head: Duration,
    /// Bytes of a request's head: request line and headers. It is also the largest buffer of a connection, so that a listener that takes
    /// large bodies wants more. At least 8 KiB.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// How long a body may stand still while the service waits for it.
    pub body_idle: Duration,
    /// How long a body may take in all; `None` where bodies are streams.
    pub body: Option<Duration>,
    /// How long a connection may be open without a request.
    pub keep_alive: Duration,
    /// How long a client may take nothing of an answer that waits for it; streams and WebSockets included.
    pub write_stall: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address; of IPv6 from one /64 network, which is what one host is given.
    pub connections_per_address_max: usize,
}

impl Limits {
    /// What a listener for small requests grants. Each connection costs at most 16 KiB of head, and a dead one is gone in a minute.
    pub const STANDARD: Self = Self {
        // A head is one packet; five seconds are several retransmissions of it.
        head: Duration::from_secs(5),
        // As nginx and Apache: cookies and tokens fit, and a thousand connections cost 16 MiB.
        head_bytes_max: 16 << 10,
        // A browser sends some twenty.
        headers_max: 64,
        body_idle: Duration::from_secs(30),
        // The largest body here is a webhook of 4 MiB.
        body: Some(Duration::from_secs(30)),
        // Longer than the 15 s at which Prometheus and the console ask, so that they keep their connections.
        keep_alive: Duration::from_secs(60),
        write_stall: Duration::from_secs(30),
        connections_max: 64,
        connections_per_address_max: 32,
    };

    /// Health and metrics: a few probes, scrapers and operators, who share the loopback address. Half of the places stay free for
    /// everyone else, whatever one address does.
    pub const ADMIN: Self = Self { connections_max: 64, connections_per_address_max: 32, ..Self::STANDARD };
}
