//! What can be configured; `config/monitoring.yaml` documents every key.

use std::net::{Ipv4Addr, SocketAddr};

use marketprism_bus::NatsConfig;
use marketprism_service::{AdminConfig, ConfigError, Configuration, LoggingConfig, ShutdownConfig};
use marketprism_store::ClickHouseConfig;
use serde::{Deserialize, Serialize};

use crate::auth::AuthConfig;
use crate::bridge::BridgeConfig;
use crate::http;
use crate::live::{ComponentsConfig, LiveConfig};
use crate::upstream::UpstreamsConfig;

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
    /// Where the services are.
    pub(crate) components: ComponentsConfig,
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
            components: ComponentsConfig::default(),
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
        self.components.validate()?;
        self.nats.validate().map_err(|error| {
            ConfigError::invalid(format!("nats.{}", error.field), error.value, error.reason)
        })?;
        if let Some(url) = &self.monitoring_url {
            http::is_address("monitoring_url", url)?;
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

    use std::collections::BTreeMap;

    use marketprism_service::config::load;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/monitoring.yaml");

    #[test]
    fn the_compose_file_sets_keys_that_there_are_and_no_address_of_one_host() {
        let compose = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/docker/compose.yaml");
        let compose = std::fs::read_to_string(compose).unwrap();
        let (_, own) = compose.split_once("\n  monitoring:\n").unwrap();
        let variable = |line: &str| -> Option<(String, String)> {
            let (name, value) = line.trim().strip_prefix("MARKETPRISM__")?.split_once(": ")?;
            // A password, which is not in the repository: `${VARIABLE:?…}` or `file:/run/secrets/…`.
            let is_secret = value.starts_with('$') || value.starts_with("file:");
            let value = if is_secret { "correct horse battery" } else { value };
            Some((format!("MARKETPRISM__{name}"), value.to_owned()))
        };
        let environment: BTreeMap<_, _> = own
            .lines()
            .map_while(|line| line.starts_with("    ").then_some(line))
            .filter_map(variable)
            .collect();
        let mut loaded: Config = load(Some(FILE.as_ref()), &environment, &[]).unwrap();
        // On loopback, which every container has for itself, is only its own probe's address.
        loaded.admin = AdminConfig::at_ports(0, 0);
        let text = serde_json::to_string(&loaded).unwrap().replace("127.0.0.1:0", "");
        assert!(!text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn the_documented_file_is_the_defaults() {
        let none = BTreeMap::new();
        let loaded: Config = load(Some(FILE.as_ref()), &none, &[]).unwrap();
        let [loaded, defaults] =
            [loaded, Config::default()].map(|config| serde_json::to_value(config).unwrap());
        assert_eq!(loaded, defaults);
    }
}
