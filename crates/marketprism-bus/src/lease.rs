//! A lease: of several instances of a service one has it, until it gives it up or dies. It is a consumer that gets no
//! messages: the broker makes only one of a name, and removes it when nobody has pulled from it for a while. No clock is
//! compared with another one's.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::ConsumerCreateStrictErrorKind;
use futures_util::StreamExt;
use marketprism_core::topology::MARKET_DATA;
use tokio::time::sleep;

use crate::connect::Bus;
use crate::error::BusError;

/// Where the consumer says whose it is.
const OWNER: &str = "marketprism.lease.owner";
/// A subject of the stream that nobody publishes on.
const NOTHING: &str = "gap.none.none.lease";
/// So many pulls fit into the time after which the lease is free.
const PULLS: u32 = 4;

/// A lease that this process has been given.
#[derive(Debug, Clone)]
pub struct Lease {
    bus: Bus,
    name: String,
    owner: String,
    free_after: Duration,
    consumer: Consumer<Config>,
}

impl Bus {
    /// Takes a lease; `None` while another process has it. It is free again when that one has been silent for `free_after`.
    ///
    /// # Errors
    /// [`BusError::StreamMissing`], or [`BusError::Request`] when the broker does not answer.
    pub async fn lease(&self, name: &str, free_after: Duration) -> Result<Option<Lease>, BusError> {
        let handle = self.stream_handle(MARKET_DATA).await?;
        let handle = handle.ok_or_else(|| BusError::StreamMissing(MARKET_DATA.to_owned()))?;
        let owner = self.client.new_inbox();
        let config = Config {
            durable_name: Some(name.to_owned()),
            description: Some("whoever has it is the one instance that works".to_owned()),
            filter_subject: NOTHING.to_owned(),
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::None,
            inactive_threshold: free_after,
            metadata: [(OWNER.to_owned(), owner.clone())].into(),
            ..Config::default()
        };
        match handle.create_consumer_strict(config).await {
            Ok(consumer) => {
                Ok(Some(Lease { bus: self.clone(), name: name.to_owned(), owner, free_after, consumer }))
            }
            Err(error) if error.kind() == ConsumerCreateStrictErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(BusError::request(format!("take the lease {name}"), error)),
        }
    }
}

impl Lease {
    /// Whether it is still ours, as the broker knows it: to be asked right before what only one may do.
    ///
    /// # Errors
    /// [`BusError::LeaseLost`], or [`BusError::Request`] when the broker does not answer.
    pub async fn confirm(&self) -> Result<(), BusError> {
        let operation = || format!("confirm the lease {}", self.name);
        let handle = self.bus.jetstream.get_stream_no_info(MARKET_DATA).await;
        let handle = handle.map_err(|error| BusError::request(operation(), error))?;
        match handle.consumer_info(&self.name).await {
            Ok(info) if info.config.metadata.get(OWNER) == Some(&self.owner) => Ok(()),
            Ok(_) => Err(BusError::LeaseLost(self.name.clone())),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
                Err(BusError::LeaseLost(self.name.clone()))
            }
            Err(error) => Err(BusError::request(operation(), error)),
        }
    }

    /// Keeps it, and returns when it is lost. While the broker is away nobody else can take it.
    pub async fn keep(&self) -> BusError {
        let pause = self.free_after / PULLS;
        loop {
            if let Ok(mut nothing) = self.consumer.batch().max_messages(1).expires(pause).messages().await {
                while nothing.next().await.is_some() {}
            } else {
                sleep(pause).await;
            }
            if let Err(lost @ BusError::LeaseLost(_)) = self.confirm().await {
                return lost;
            }
        }
    }

    /// Gives it up, so that another need not wait.
    ///
    /// # Errors
    /// As [`Lease::confirm`].
    pub async fn release(self) -> Result<(), BusError> {
        self.confirm().await?;
        let operation = || format!("give up the lease {}", self.name);
        let handle = self.bus.jetstream.get_stream_no_info(MARKET_DATA).await;
        let handle = handle.map_err(|error| BusError::request(operation(), error))?;
        let deleted = handle.delete_consumer(&self.name).await;
        deleted.map(drop).map_err(|error| BusError::request(operation(), error))
    }
}
