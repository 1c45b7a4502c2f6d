//! What can be configured; `config/monitoring.yaml` documents every key.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use marketprism_bus::NatsConfig;
use marketprism_service::{AdminConfig, ConfigError, Configuration, LoggingConfig, ShutdownConfig};
use marketprism_store::ClickHouseConfig;
use serde::{Deserialize, Serialize};

use crate::auth::AuthConfig;
use crate::bridge::BridgeConfig;
use crate::live::LiveConfig;
use crate::upstream::{ComponentConfig, UpstreamsConfig, default_components};

/// Configuration of monitoring.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The console, its API, `/health` and `/ready`.
    pub(crate) listen: SocketAddr,
    /// Who may ask.
    pub(crate) auth: AuthConfig,
    /// Whom the API asks.
    pub(crate) upstreams: UpstreamsConfig,
    /// Whose health is shown, by name; `_` is shown as `-`.
    pub(crate) components: BTreeMap<String, ComponentConfig>,
    /// Alertmanager's webhooks in, messages to people out.
    pub(crate) bridge: BridgeConfig,
    /// The broker's monitoring port, whose figures are told as metrics; `None`: they are not.
    pub(crate) monitoring_url: Option<String>,
    /// The broker, of which the live view reads.
    pub(crate) nats: NatsConfig,
    /// The hot tier, of which the live view reads.
    pub(crate) hot: ClickHouseConfig,
    /// The cold tier, of which the live view reads.
    pub(crate) cold: ClickHouseConfig,
    /// The live view.
    pub(crate) live: LiveConfig,
    /// Logs.
    pub(crate) logging: LoggingConfig,
    /// Health and metrics, on a thread of their own.
    pub(crate) admin: AdminConfig,
    /// Draining at the end.
    pub(crate) shutdown: ShutdownConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
            auth: AuthConfig::default(),
            upstreams: UpstreamsConfig::default(),
            components: default_components(),
            bridge: BridgeConfig::default(),
            monitoring_url: Some("http://127.0.0.1:8222".to_owned()),
            nats: NatsConfig::default(),
            hot: ClickHouseConfig::default(),
            cold: ClickHouseConfig::cold(),
            live: LiveConfig::default(),
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8083, 9096),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Configuration for Config {
    fn logging(&self) -> &LoggingConfig {
        &self.logging
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.auth.validate([("listen", self.listen), ("bridge.listen", self.bridge.listen)])?;
        self.upstreams.validate()?;
        for (name, component) in &self.components {
            component.validate(name)?;
        }
        self.nats.validate().map_err(|error| {
            ConfigError::invalid(format!("nats.{}", error.field), error.value, error.reason)
        })?;
        if let Some(url) = self.monitoring_url.as_ref().filter(|url| !url.starts_with("http")) {
            return Err(ConfigError::invalid("monitoring_url", url, "is not http://host:port"));
        }
        for (section, tier) in [("hot", &self.hot), ("cold", &self.cold)] {
            tier.validate().map_err(|error| {
                ConfigError::invalid(format!("{section}.{}", error.field), error.value, error.reason)
            })?;
        }
        self.live.validate()?;
        self.bridge.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/monitoring.yaml");
        let none = std::collections::BTreeMap::new();
        let loaded: Config = marketprism_service::config::load(Some(file.as_ref()), &none, &[]).unwrap();
        let [loaded, defaults] =
            [loaded, Config::default()].map(|config| serde_json::to_value(config).unwrap());
        assert_eq!(loaded, defaults);
    }
}
