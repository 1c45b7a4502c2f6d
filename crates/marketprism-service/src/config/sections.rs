//! The sections that every service has: `logging`, `admin`, `shutdown`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, HostNames, HumanDuration};

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Coloured lines for a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Section `logging`. Logs go to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,async_nats=warn`.
    pub level: String,
    /// `human` or `json`.
    pub format: LogFormat,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human }
    }
}

impl LoggingConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match crate::logging::filter(self) {
            Ok(_) => Ok(()),
            Err(reason) => Err(ConfigError::invalid("logging.level", &self.level, reason)),
        }
    }
}

/// Section `admin`: where health and metrics are served. Port 0 takes a free one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// `/health` and `/live`.
    pub health_listen: SocketAddr,
    /// `/metrics`.
    pub metrics_listen: SocketAddr,
    /// A file to write once both are bound: `{"health":"127.0.0.1:8087","metrics":"127.0.0.1:9092"}`.
    pub addresses_file: Option<PathBuf>,
    /// Names by which this service's listeners, all of them, are reached besides `localhost` and addresses: a request for another name may
    /// be a foreign web page's and is refused. `[collector]`, or `collector,collector.example.com` in a variable.
    pub hosts: HostNames,
}

impl AdminConfig {
    /// On loopback, at these ports: the defaults of one service.
    pub const fn at_ports(health: u16, metrics: u16) -> Self {
        const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            health_listen: SocketAddr::new(LOOPBACK, health),
            metrics_listen: SocketAddr::new(LOOPBACK, metrics),
            addresses_file: None,
            hosts: HostNames::none(),
        }
    }
}

impl AdminConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.hosts.validate("admin.hosts")
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self::at_ports(8087, 9092)
    }
}

/// Section `shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long draining may take before what is still alive is named and aborted.
    pub grace: HumanDuration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: HumanDuration::from_secs(20) }
    }
}
