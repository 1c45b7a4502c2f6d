//! Configuration: defaults in code, then a file, then the environment; unknown keys are errors.
//!
//! It reads no process state: file path and variables are arguments.

mod duration;
mod error;
mod hosts;
mod layers;
mod print;
mod redact;
mod secret;
mod sections;
mod source;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use duration::HumanDuration;
pub use error::ConfigError;
pub use hosts::HostNames;
pub(crate) use layers::LEGACY;
pub use layers::{Environment, LegacyVariable, load};
pub use print::to_yaml;
pub use secret::Secret;
pub use sections::{AdminConfig, LogFormat, LoggingConfig, ShutdownConfig};
pub use source::ConfigSource;

/// A service's configuration: plain data whose `Default` is the documented defaults.
///
/// Its structs say `#[serde(default, deny_unknown_fields)]`. A table keyed by an id (`exchanges: {binance_spot: …}`) is
/// merged key by key with the default table, so an entry is switched off by its own `enabled: false`.
pub trait Configuration: DeserializeOwned + Serialize + Default + Send + 'static {
    /// The `logging` section.
    fn logging(&self) -> &LoggingConfig;
    /// The `admin` section.
    fn admin(&self) -> &AdminConfig;
    /// The `shutdown` section.
    fn shutdown(&self) -> &ShutdownConfig;

    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`ConfigError::invalid`] with the key's path, its value and what is wrong with it.
    fn validate(&self) -> Result<(), ConfigError>;
}
