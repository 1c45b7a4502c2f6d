//! Messages as they are published, on plain NATS: for whoever only looks. Nothing is remembered or delivered again, and
//! what nobody reads in time is dropped by the client, so this is not for storing: a [`crate::Consumer`] is.

use bytes::Bytes;
use futures_util::StreamExt;

use crate::connect::Bus;
use crate::error::BusError;

/// The messages on one subject, as they come. Dropped, the broker sends no more of them.
#[derive(Debug)]
pub struct Subscription(async_nats::Subscriber);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What it was published on.
    pub subject: String,
    /// Its bytes.
    pub payload: Bytes,
}

impl Bus {
    /// Looks at a subject, which may have wildcards. After a lost connection it goes on with what comes then.
    ///
    /// # Errors
    /// [`BusError::Request`] when the subscription is not taken.
    pub async fn subscribe(&self, subject: &str) -> Result<Subscription, BusError> {
        let failed = |error| BusError::request(format!("subscribe to {subject}"), error);
        let subscriber = self.client.subscribe(subject.to_owned()).await.map_err(failed)?;
        // A subscription is only sent by then; what is published next is to be seen.
        self.client.flush().await.map_err(|error| BusError::request("flush a subscription", error))?;
        Ok(Subscription(subscriber))
    }
}

impl Subscription {
    /// The next message; `None` when the connection was closed.
    pub async fn next(&mut self) -> Option<Published> {
        let message = self.0.next().await?;
        Some(Published { subject: message.subject.to_string(), payload: message.payload })
    }
}
