//! Every metric of the bus. Names under `marketprism_nats_` are interface: alerts and dashboards use them.

use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;

/// The connection.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
pub(crate) struct ConnectionMetrics {
    /// 1 while connected to the broker, 0 otherwise.
    pub(crate) connected: Gauge,
    /// Connections made after the first one.
    pub(crate) reconnects_total: Counter,
    /// Connections lost.
    pub(crate) disconnects_total: Counter,
    /// Errors told by the server or met by the client on an established connection.
    pub(crate) connection_errors_total: Counter,
    /// Times the client dropped messages of a subscription that was not read fast enough.
    pub(crate) slow_consumers_total: Counter,
}

/// The broker, as this process sees it.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_broker")]
pub(crate) struct BrokerMetrics {
    /// 1 while the broker is there for this service, 0 otherwise: when all services say 0, it is down.
    pub(crate) connected: Gauge,
}

/// The publisher.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
pub(crate) struct PublisherMetrics {
    /// Messages accepted for publishing.
    pub(crate) messages_published_total: Counter,
    /// Messages whose storage the broker confirmed.
    pub(crate) messages_acked_total: Counter,
    /// Confirmed messages that the stream already held under the same id.
    pub(crate) messages_duplicate_total: Counter,
    /// Messages sent once more because no confirmation came.
    pub(crate) publish_retries_total: Counter,
    /// Messages sent and not yet confirmed.
    pub(crate) publish_in_flight: Gauge,
    /// Seconds from the first sending of a message to its confirmation.
    pub(crate) publish_duration_seconds: Histogram,
}

/// Publishing failures of one `error_type`: a loss reason, or `transient` for one that is retried.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
pub(crate) struct PublishErrorMetrics {
    /// Messages the broker refused, by reason; `transient` ones are sent again, all others are lost.
    pub(crate) publish_errors_total: Counter,
}

/// One durable consumer.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
pub(crate) struct ConsumerMetrics {
    /// Messages delivered to us.
    pub(crate) messages_delivered_total: Counter,
    /// Messages delivered to us more than once.
    pub(crate) messages_redelivered_total: Counter,
    /// Times a consumer had vanished from the broker and was created again.
    pub(crate) consumer_rebinds_total: Counter,
    /// Messages still waiting in the stream behind the newest delivered one.
    pub(crate) consumer_pending: Gauge,
}

/// Dead letters of one stream.
#[derive(Metrics, Clone)]
#[metrics(scope = "marketprism_nats")]
pub(crate) struct DeadLetterMetrics {
    /// Messages moved to the dead-letter stream.
    pub(crate) dead_letters_total: Counter,
}
