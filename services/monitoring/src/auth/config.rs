//! Section `auth`.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use marketprism_service::{ConfigError, HumanDuration, Secret};
use serde::{Deserialize, Serialize};

/// Shorter ones are guessed within hours at the pace that the limit of requests leaves.
const SECRET_CHARS_MIN: usize = 12;

/// Without a password or a key everybody who reaches the service may ask, so it listens on loopback only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthConfig {
    /// The user of `password`, for HTTP Basic and `/login`.
    pub(crate) username: String,
    /// The user's password, or `file:/path`; there is no default one.
    pub(crate) password: Secret,
    /// What programs send as `X-API-Key`, or `file:/path`.
    pub(crate) api_key: Secret,
    /// How long a token of `/login` is good.
    pub(crate) session: HumanDuration,
    /// Requests with correct credentials from one address, and as many without; after ten wrong credentials an address has to wait.
    pub(crate) requests_per_minute_max: NonZeroU32,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            username: "operator".to_owned(),
            password: Secret::default(),
            api_key: Secret::default(),
            session: HumanDuration::from_secs(3600),
            // The console asks some twice a second; ten of them behind one address.
            requests_per_minute_max: NonZeroU32::new(1200).unwrap_or(NonZeroU32::MIN),
        }
    }
}

impl AuthConfig {
    pub(crate) fn is_on(&self) -> bool {
        !self.password.is_empty() || !self.api_key.is_empty()
    }

    /// `listeners`: the key and value of each address that these credentials protect.
    pub(crate) fn validate(&self, listeners: [(&str, SocketAddr); 2]) -> Result<(), ConfigError> {
        for (key, address) in listeners {
            if !address.ip().is_loopback() && !self.is_on() {
                let reason = "others can reach it: set auth.password (MARKETPRISM__AUTH__PASSWORD) or auth.api_key \
                              (MARKETPRISM__AUTH__API_KEY), the text itself or file:/path; or listen on 127.0.0.1";
                return Err(ConfigError::invalid(key, address, reason));
            }
        }
        for (key, secret) in [("auth.password", &self.password), ("auth.api_key", &self.api_key)] {
            if !secret.is_empty() && secret.expose().chars().count() < SECRET_CHARS_MIN {
                let reason = format!("must have at least {SECRET_CHARS_MIN} characters");
                return Err(ConfigError::invalid(key, "[redacted]", reason));
            }
        }
        if self.username.is_empty() || self.username.contains(':') {
            let reason = "must not be empty, nor contain a colon";
            return Err(ConfigError::invalid("auth.username", &self.username, reason));
        }
        if self.session.get().as_secs() == 0 {
            return Err(ConfigError::invalid("auth.session", self.session, "must be at least a second"));
        }
        Ok(())
    }
}
