//! How to reach NATS. Plain data with the defaults of a laptop; read from the `nats:` section of every service.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field that cannot be used; services put their section's name before `field`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: `{value}` {reason}")]
pub struct InvalidField {
    /// Field inside the section: `url`, `tls.ca_file`.
    pub field: &'static str,
    /// What it holds; empty for a secret.
    pub value: String,
    /// Why that cannot be.
    pub reason: String,
}

impl InvalidField {
    pub(crate) fn new(field: &'static str, value: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self { field, value: value.to_string(), reason: reason.into() }
    }
}

/// The connection to NATS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConfig {
    /// One server, or several of a cluster separated by commas. No credentials inside.
    pub url: String,
    /// User name, together with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Credential>,
    /// Token, instead of a user.
    pub token: Option<Credential>,
    /// Path of a `.creds` file (JWT and nkey seed), instead of a user.
    pub credentials_file: Option<PathBuf>,
    /// Transport security.
    pub tls: TlsConfig,
    /// How long one attempt to connect may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long the broker may take to answer a request.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How often a silent connection is probed; two unanswered probes end it.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            user: None,
            password: None,
            token: None,
            credentials_file: None,
            tls: TlsConfig::default(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            // Half-open connections (a pulled cable) are found in 20 s instead of the client's default of 2 min.
            ping_interval: Duration::from_secs(10),
        }
    }
}

/// Transport security of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Refuse a server that does not offer TLS.
    pub required: bool,
    /// Start with the TLS handshake instead of the server's INFO line (`handshake_first` on the server).
    pub first: bool,
    /// PEM file of the authority that signed the server's certificate, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate, together with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of our private key.
    pub key_file: Option<PathBuf>,
}

impl NatsConfig {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the first field that cannot be used, and its value.
    pub fn validate(&self) -> Result<(), InvalidField> {
        self.servers()?;
        let both = |field, one: bool, other: bool, partner: &str| {
            if one && !other {
                Err(InvalidField::new(field, "", format!("needs {partner} beside it")))
            } else {
                Ok(())
            }
        };
        both("user", self.user.is_some(), self.password.is_some(), "password")?;
        both("password", self.password.is_some(), self.user.is_some(), "user")?;
        let tls = &self.tls;
        both("tls.certificate_file", tls.certificate_file.is_some(), tls.key_file.is_some(), "tls.key_file")?;
        both("tls.key_file", tls.key_file.is_some(), tls.certificate_file.is_some(), "tls.certificate_file")?;
        let ways = [self.user.is_some(), self.token.is_some(), self.credentials_file.is_some()];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            return Err(InvalidField::new(
                "user",
                "",
                "one of user, token and credentials_file, not several",
            ));
        }
        for (field, value) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("ping_interval", self.ping_interval),
        ] {
            if value.is_zero() {
                return Err(InvalidField::new(field, "0s", "must be longer than nothing"));
            }
        }
        Ok(())
    }

    /// The servers of `url`.
    pub(crate) fn servers(&self) -> Result<Vec<async_nats::ServerAddr>, InvalidField> {
        let parse = |server: &str| {
            if server.contains('@') {
                // The value is not repeated: it holds a password.
                return Err(InvalidField::new(
                    "url",
                    "",
                    "holds credentials: use user and password, or token",
                ));
            }
            server
                .parse::<async_nats::ServerAddr>()
                .map_err(|error| InvalidField::new("url", server, format!("is no NATS address: {error}")))
        };
        self.url.split(',').map(str::trim).map(parse).collect()
    }
}

/// A secret of the configuration: never printed, neither by `Debug` nor in the effective configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(crate) fn reveal(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
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
    fn secrets_are_not_printed() {
        let config =
            NatsConfig { token: Some(Credential::new("hunter2".to_owned())), ..NatsConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_field_that_cannot_be_used_is_named_with_its_value() {
        let config = NatsConfig { url: "nats://a:4222, http://b:1".to_owned(), ..NatsConfig::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.field, "url");
        assert!(error.to_string().contains("http://b:1"), "{error}");

        let config = NatsConfig { url: "nats://me:hunter2@b:1".to_owned(), ..NatsConfig::default() };
        let error = config.validate().unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");

        let config = NatsConfig { user: Some("me".to_owned()), ..NatsConfig::default() };
        assert_eq!(config.validate().unwrap_err().field, "user");
        assert!(NatsConfig::default().validate().is_ok());
    }
}
