//! How to reach one ClickHouse database. Plain data with the defaults of a laptop.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schema::Placement;

/// A field that cannot be used; services put their section's name before `field`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: `{value}` {reason}")]
pub struct InvalidField {
    /// Field inside the section: `url`.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
    /// Why that cannot be.
    pub reason: &'static str,
}

/// How request and response bodies travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are: fastest on loopback.
    #[default]
    None,
    /// LZ4 blocks: for a server behind a real network.
    Lz4,
}

/// One database of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClickHouseConfig {
    /// The server's HTTP interface: `http://127.0.0.1:8123`. No credentials and no path inside.
    pub url: String,
    /// The database of this tier.
    pub database: String,
    /// Engine of the tables: `MergeTree`, or `ReplicatedMergeTree`, with or without its path and replica.
    pub engine: String,
    /// The cluster on all of whose servers tables are made; needs a replicated engine.
    pub cluster: Option<String>,
    /// User name.
    pub user: String,
    /// Password of `user`; empty for none.
    pub password: Credential,
    /// How bodies travel.
    pub compression: Compression,
    /// Have the server write every insert to the disk before it answers. Without it a power cut can lose rows whose
    /// messages are already acknowledged.
    pub fsync: bool,
    /// How long making a connection may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a question may take.
    #[serde(with = "humantime_serde")]
    pub query_timeout: Duration,
    /// How long one insert may take; its outcome is unknown after that.
    #[serde(with = "humantime_serde")]
    pub insert_timeout: Duration,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            database: "marketprism_hot".to_owned(),
            engine: Placement::SINGLE.engine.to_owned(),
            cluster: None,
            user: "default".to_owned(),
            password: Credential::default(),
            compression: Compression::None,
            fsync: true,
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            insert_timeout: Duration::from_secs(30),
        }
    }
}

impl ClickHouseConfig {
    /// The defaults of the cold tier.
    #[must_use]
    pub fn cold() -> Self {
        Self {
            url: "http://127.0.0.1:8124".to_owned(),
            database: "marketprism_cold".to_owned(),
            ..Self::default()
        }
    }

    /// Engine and cluster of the tables.
    #[must_use]
    pub fn placement(&self) -> Placement<'_> {
        Placement { engine: &self.engine, cluster: self.cluster.as_deref() }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the first field that cannot be used, and its value.
    pub fn validate(&self) -> Result<(), InvalidField> {
        let refuse =
            |field, value: &str, reason| Err(InvalidField { field, value: value.to_owned(), reason });
        if self.url.contains('@') {
            // The value is not repeated: it holds a password.
            return refuse("url", "", "holds credentials: use user and password");
        }
        let host = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://"));
        if !host.is_some_and(|host| !host.is_empty() && !host.trim_end_matches('/').contains(['/', '?', '#']))
        {
            return refuse("url", &self.url, "is not http(s)://host:port");
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if self.database.is_empty() || !self.database.bytes().all(word) {
            return refuse("database", &self.database, "is not a name of letters, digits and _");
        }
        self.placement().validate()?;
        for (field, value) in [
            ("connect_timeout", self.connect_timeout),
            ("query_timeout", self.query_timeout),
            ("insert_timeout", self.insert_timeout),
        ] {
            // The server takes its limits in whole seconds.
            if value < Duration::from_secs(1) {
                return refuse(field, &format!("{value:?}"), "must be at least 1s");
            }
        }
        Ok(())
    }
}

/// A secret of the configuration: never printed, neither by `Debug` nor in the effective configuration.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credential(String);

impl Credential {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "***" }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_and_its_value_are_named_and_secrets_are_not() {
        let with = |change: fn(&mut ClickHouseConfig)| {
            let mut config = ClickHouseConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(with(|config| config.url = "localhost:8123".to_owned()).contains("url: `localhost:8123`"));
        assert!(!with(|config| config.url = "http://me:hunter2@h:1".to_owned()).contains("hunter2"));
        assert!(with(|config| config.database = "a`b".to_owned()).contains("database: `a`b`"));
        assert!(with(|config| config.insert_timeout = Duration::ZERO).contains("insert_timeout"));

        let config =
            ClickHouseConfig { password: Credential::new("hunter2".to_owned()), ..ClickHouseConfig::cold() };
        assert!(config.validate().is_ok());
        assert!(!format!("{config:?}{}", serde_json::to_string(&config).unwrap()).contains("hunter2"));
    }
}
