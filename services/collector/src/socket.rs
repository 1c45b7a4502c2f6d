//! Opens WebSockets: through a proxy where there is one, TLS always verified, no compression, paced by the exchange's
//! limits.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::{Sink, StreamExt};
use marketprism_service::{Context, Report};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::door::{Door, Place};
use crate::gate::Gate;
use crate::proxy::Way;

/// TCP, TLS and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest frame an exchange sends is a full book of about 1 MB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// What waits to be written when the exchange does not read: subscriptions of a few KB, and answers to pings.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Start of an error body kept for the log.
const ERROR_BODY_CHARS_MAX: usize = 300;

/// An open connection. Dropping it closes it and gives its place back.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    is_flushed: bool,
    /// Why the exchange closed it, in its own words.
    farewell: Option<String>,
    _place: Place,
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

/// Opens the connections of one exchange. Clones share door and gate.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    exchange: &'static str,
    base: String,
    way: Way,
    door: Door,
    gate: Gate,
}

impl Dialer {
    pub(crate) fn new(exchange: &'static str, base: &str, way: Way, door: Door) -> Self {
        Self { exchange, base: base.to_owned(), way, door, gate: Gate::default() }
    }

    /// Closed while the exchange refuses connections of this address.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// One attempt, after waiting for its turn and its place; a successor is one of a socket that is open still.
    pub(crate) async fn dial(&self, path: &str, is_successor: bool) -> Result<Socket, Report> {
        let place = self.door.place(is_successor).await;
        self.gate.opened().await;
        self.door.turn().await;
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
