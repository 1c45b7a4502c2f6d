//! Everything that knows NATS: the connection, publishing with collected acknowledgements, durable pull consumers,
//! dead letters, and the streams' configuration.
//!
//! It knows nothing of markets beyond what `marketprism-core` says about subjects and streams, and no type of the
//! NATS client appears in a public signature. In reading order: [`NatsConfig`] and [`Bus`] (the connection),
//! [`Publisher`], [`Consumer`] and its [`Delivery`]s, the stream's [`StreamState`] and what a [`Reader`] finds in it,
//! [`DeadLetter`]s, and [`topology`].

mod config;
mod connect;
mod consumer;
mod consumer_config;
mod dead_letter;
mod delivery;
mod error;
mod lease;
mod metrics;
mod publisher;
mod reader;
mod requests;
mod stream;
mod subscription;
pub mod topology;
mod window;

pub use config::{Credential, InvalidField, NatsConfig, TlsConfig};
pub use connect::{Bus, Status};
pub use consumer::Consumer;
pub use consumer_config::ConsumerConfig;
pub use dead_letter::{
    DeadLetter, DeadLetters, HEADER_DELIVERED, HEADER_PUBLISHED, HEADER_REASON, HEADER_REPLAYED_AS,
    HEADER_SEQUENCE, HEADER_STREAM, HEADER_SUBJECT, HEADER_TRUNCATED, subject as dead_letter_subject,
};
pub use delivery::Delivery;
pub use error::{BoxError, BusError};
pub use lease::Lease;
pub use publisher::{LossReason, Lost, Outgoing, Publisher, PublisherConfig, Stopwatch};
pub use reader::{Reader, Selection, Start};
pub use requests::{BusRequest, Requests};
pub use stream::{ConsumerState, StoredMessage, StreamLimits, StreamState};
pub use subscription::{Published, Subscription};
