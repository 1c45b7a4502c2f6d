//! Opens WebSockets: through a proxy where there is one, TLS always verified, no compression, paced by the exchange's
//! limits.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::{Sink, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use marketprism_exchanges::registry::Integration;
use marketprism_service::{Context, Report};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::gate::Gate;
use crate::proxy::Way;

/// TCP, TLS and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest frame an exchange sends is a full book of about 1 MB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// What waits to be written when the exchange does not read: subscriptions of a few KB, and answers to pings.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Connections opened at once after a start; the rest follow at the exchange's pace.
const BURST: u32 = 10;
/// The share of the exchange's limit of attempts that we use: others may run behind the same address.
const ATTEMPTS_PERCENT: u32 = 50;
/// Start of an error body kept for the log.
const ERROR_BODY_CHARS_MAX: usize = 300;

/// An open connection. Dropping it closes it and gives its place back.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    is_flushed: bool,
    /// Why the exchange closed it, in its own words.
    farewell: Option<String>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Socket {
    /// Sends without waiting: what the exchange does not take is written as it does.
    pub(crate) fn send(&mut self, message: Message) -> Result<(), String> {
        self.is_flushed = false;
        let sent = Pin::new(&mut self.stream).start_send(message);
        sent.map_err(|error| Report::from(error).to_string())
    }

    /// The next frame, or why there will be none any more.
    pub(crate) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Message, String>> {
        if !self.is_flushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Report::from(error).to_string())),
                Poll::Pending => {}
            }
        }
        match self.stream.poll_next_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(message))) => {
                if let Message::Close(Some(frame)) = &message {
                    self.farewell = Some(format!("{} {}", frame.code, frame.reason));
                }
                Poll::Ready(Ok(message))
            }
            Poll::Ready(Some(Err(error))) if self.farewell.is_none() => {
                Poll::Ready(Err(Report::from(error).to_string()))
            }
            Poll::Ready(Some(Err(_)) | None) => {
                let farewell = self.farewell.take().unwrap_or_default();
                Poll::Ready(Err(format!("closed by the exchange {farewell}")))
            }
        }
    }
}

/// Opens the connections of one exchange. Clones share pace, places and gate.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    exchange: &'static str,
    base: String,
    way: Way,
    pace: Arc<DefaultDirectRateLimiter>,
    places: Option<Arc<Semaphore>>,
    gate: Gate,
}

impl Dialer {
    /// `attempts_per_minute` overrides what the integration says.
    pub(crate) fn new(
        base: &str,
        integration: &Integration,
        way: Way,
        attempts_per_minute: Option<NonZeroU32>,
    ) -> Self {
        let limit = integration.connect_limit;
        // Spread evenly, but for the burst at the start.
        let period = match attempts_per_minute {
            Some(attempts) => Duration::from_secs(60) / attempts.get(),
            None => limit.per * 100 / ATTEMPTS_PERCENT / limit.attempts.max(1),
        };
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN));
        Self {
            exchange: integration.id,
            base: base.trim_end_matches('/').to_owned(),
            way,
            pace: Arc::new(RateLimiter::direct(quota)),
            places: limit.open_max.map(|open_max| Arc::new(Semaphore::new(open_max))),
            gate: Gate::default(),
        }
    }

    /// Closed while the exchange refuses connections of this address.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// One attempt, after waiting for its turn and its place.
    pub(crate) async fn dial(&self, path: &str) -> Result<Socket, Report> {
        let place = match &self.places {
            // Only fails when closed, which never happens; then the connection goes ahead without.
            Some(places) => places.clone().acquire_owned().await.ok(),
            None => None,
        };
        self.gate.opened().await;
        self.pace.until_ready().await;
        let url = format!("{}{path}", self.base);
        match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(&url)).await {
            Ok(Ok(stream)) => Ok(Socket { stream, is_flushed: true, farewell: None, _place: place }),
            Ok(Err(error)) => Err(error.context(format_args!("failed to connect to {url}"))),
            Err(_) => Err(Report::message(format!("no connection to {url} within {CONNECT_TIMEOUT:?}"))),
        }
    }

    async fn connect(&self, url: &str) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Report> {
        let stream = self.way.connect(&Url::parse(url).context("no URL")?).await?;
        // Nagle's algorithm is off: a subscription or a pong must not wait for more bytes.
        stream.set_nodelay(true).context("failed to set TCP_NODELAY")?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .max_write_buffer_size(UNSENT_BYTES_MAX);
        match tokio_tungstenite::client_async_tls_with_config(url, stream, Some(config), None).await {
            Ok((stream, _)) => Ok(stream),
            Err(tungstenite::Error::Http(answer)) => {
                let status = answer.status().as_u16();
                let retry_after = answer.headers().get("retry-after");
                let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                let body = answer.body().as_deref().unwrap_or_default();
                let body: String = String::from_utf8_lossy(body).chars().take(ERROR_BODY_CHARS_MAX).collect();
                self.gate.refused(self.exchange, status, &body, retry_after);
                Err(Report::message(format!("the handshake is answered status {status}: {body}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}
