//! A durable consumer as it should be, and how the broker is told.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PriorityPolicy, pull};
use serde::{Deserialize, Serialize};

use crate::config::InvalidField;

/// The one priority group of a pinned consumer. Consumers made for other groups cannot be changed, so it stays as it is.
pub(crate) const GROUP: &str = "readers";

/// A durable consumer as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// Its name; who reads under the same name shares its messages.
    pub durable: String,
    /// Subjects to read, none for all of the stream.
    pub filter_subjects: Vec<String>,
    /// A message not answered within this is delivered again.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// Most messages delivered and not answered; must hold every batch that is being worked on.
    pub max_ack_pending: u32,
    /// Of several readers under this name one at a time gets the messages: the broker pins it, and gives the pin to another
    /// that pulls when it has not pulled for this long. `None`: they share.
    #[serde(with = "humantime_serde")]
    pub pin_ttl: Option<Duration>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            durable: String::new(),
            filter_subjects: Vec::new(),
            ack_wait: Duration::from_secs(30),
            // Four batches of 5 000 rows.
            max_ack_pending: 20_000,
            pin_ttl: None,
        }
    }
}

impl ConsumerConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the field and its value.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if self.durable.is_empty()
            || self.durable.contains(|c: char| !c.is_ascii_graphic() || ".*>/\\".contains(c))
        {
            return Err(InvalidField::new("durable", &self.durable, "is no consumer name"));
        }
        if self.ack_wait < Duration::from_millis(100) {
            return Err(InvalidField::new(
                "ack_wait",
                format!("{:?}", self.ack_wait),
                "must be at least 100ms",
            ));
        }
        if self.max_ack_pending == 0 {
            return Err(InvalidField::new("max_ack_pending", 0, "must be at least 1"));
        }
        Ok(())
    }

    pub(crate) fn to_pull(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subjects: self.filter_subjects.clone(),
            ack_policy: AckPolicy::Explicit,
            deliver_policy: DeliverPolicy::All,
            ack_wait: self.ack_wait,
            max_ack_pending: i64::from(self.max_ack_pending),
            // For ever: what can never be processed is rejected with a dead letter, not by counting.
            max_deliver: -1,
            priority_policy: self.pin_ttl.map_or(PriorityPolicy::None, |_| PriorityPolicy::PinnedClient),
            priority_groups: self.pin_ttl.iter().map(|_| GROUP.to_owned()).collect(),
            priority_timeout: self.pin_ttl.unwrap_or_default(),
            ..pull::Config::default()
        }
    }
}
