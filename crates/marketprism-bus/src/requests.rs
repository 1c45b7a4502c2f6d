//! Request and reply on plain NATS: an operator asks, one of us answers. Market data never goes this way.

use async_nats::RequestErrorKind;
use bytes::Bytes;
use futures_util::StreamExt;

use crate::connect::Bus;
use crate::error::BusError;

/// The requests on one subject, as they come. Unread ones are bounded by the client; beyond it the newest are dropped, and
/// whoever asked hears nothing.
#[derive(Debug)]
pub struct Requests(async_nats::Subscriber);

/// One request.
#[derive(Debug)]
pub struct BusRequest {
    /// What it was sent to.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
    reply: Option<async_nats::Subject>,
}

impl Bus {
    /// Listens for requests on a subject, which may have wildcards.
    ///
    /// # Errors
    /// [`BusError::Request`] when the subscription is not taken.
    pub async fn requests(&self, subject: &str) -> Result<Requests, BusError> {
        let failed = |error| BusError::request(format!("subscribe to {subject}"), error);
        let subscriber = self.client.subscribe(subject.to_owned()).await.map_err(failed)?;
        // Sent is not known to the server: whoever asks next, by another connection, is to be heard. The server takes what
        // one connection sends in order, so it knows the subscription once it says that nobody listens elsewhere.
        match self.client.request(self.client.new_inbox(), Bytes::new()).await {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => {
                Err(BusError::request(format!("have the subscription to {subject} confirmed"), error))
            }
            _ => Ok(Requests(subscriber)),
        }
    }

    /// Answers a request. One that nobody waits for is answered by nothing.
    ///
    /// # Errors
    /// [`BusError::Request`] when the answer cannot be sent.
    pub async fn answer(&self, request: &BusRequest, payload: Bytes) -> Result<(), BusError> {
        let Some(reply) = request.reply.clone() else { return Ok(()) };
        let sent = self.client.publish(reply, payload).await;
        sent.map_err(|error| BusError::request("answer a request", error))
    }

    /// Asks, and waits for the first answer within the request timeout.
    ///
    /// # Errors
    /// [`BusError::Request`] when nobody listens or nobody answers in time.
    pub async fn ask(&self, subject: &str, payload: Bytes) -> Result<Bytes, BusError> {
        let answer = self.client.request(subject.to_owned(), payload).await;
        answer
            .map(|answer| answer.payload)
            .map_err(|error| BusError::request(format!("have {subject} answered"), error))
    }
}

impl Requests {
    /// The next request; `None` when the connection was closed.
    pub async fn next(&mut self) -> Option<BusRequest> {
        let message = self.0.next().await?;
        Some(BusRequest {
            subject: message.subject.to_string(),
            payload: message.payload,
            reply: message.reply,
        })
    }
}
