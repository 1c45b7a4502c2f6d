//! Where a process has its configuration from: read once at start, and again when it reloads.

use std::path::PathBuf;

use super::{ConfigError, Configuration, Environment, LegacyVariable, load};

/// The file and the variables of one process.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    pub(crate) file: Option<PathBuf>,
    /// As it was when the process began: a running process's environment is nobody's to change.
    pub(crate) environment: Environment,
    pub(crate) legacy: &'static [LegacyVariable],
}

impl ConfigSource {
    /// The effective configuration as the file says it now, checked.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load<C: Configuration>(&self) -> Result<C, ConfigError> {
        load(self.file.as_deref(), &self.environment, self.legacy)
    }
}
