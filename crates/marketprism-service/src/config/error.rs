//! What is wrong with a configuration: always the key's path, its value and the reason.

use std::fmt::Display;

use super::redact::redacted;

/// A configuration that cannot be used; the process ends with exit code 64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {value}: {reason}")]
pub struct ConfigError {
    path: String,
    value: String,
    reason: String,
}

impl ConfigError {
    /// The key at `path` (`exchanges.binance_spot.ws_url`) has `value`, which is wrong for `reason`. Values that look
    /// like secrets, by their key or as user info of a URL, are not printed.
    pub fn invalid(path: impl Into<String>, value: impl Display, reason: impl Display) -> Self {
        let path = path.into();
        let value = redacted(&path, &value.to_string());
        Self { path, value, reason: reason.to_string() }
    }

    /// Where the key is.
    pub fn path(&self) -> &str {
        &self.path
    }
}
