//! Opens WebSockets: TLS always verified, no compression, paced by the exchange's limit on attempts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use marketprism_exchanges::registry::Integration;
use marketprism_service::Report;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// An open connection.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// TCP, TLS and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest frame an exchange sends is a full book of about 1 MB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Connections opened at once after a start; the rest follow at the exchange's pace.
const BURST: u32 = 10;

/// Opens the connections of one exchange. Clones share the pace.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    base: String,
    pace: Arc<DefaultDirectRateLimiter>,
}

impl Dialer {
    pub(crate) fn new(base: &str, integration: &Integration) -> Self {
        // Half of what the exchange allows in five minutes, spread evenly.
        let attempts = integration.connect_limit.attempts.max(2) / 2;
        let period = Duration::from_secs(300) / attempts;
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN));
        Self { base: base.trim_end_matches('/').to_owned(), pace: Arc::new(RateLimiter::direct(quota)) }
    }

    /// One attempt, after waiting for its turn.
    pub(crate) async fn dial(&self, path: &str) -> Result<Socket, Report> {
        self.pace.until_ready().await;
        let url = format!("{}{path}", self.base);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        // Nagle's algorithm is off: a subscription or a pong must not wait for more bytes.
        let connect = tokio_tungstenite::connect_async_with_config(&url, Some(config), true);
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(Report::from(error).context(format!("failed to connect to {url}"))),
            Err(_) => Err(Report::message(format!("no connection to {url} within {CONNECT_TIMEOUT:?}"))),
        }
    }
}
