//! The service's configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use marketprism_service::{
    AdminConfig, ConfigError, Configuration, LegacyVariable, LoggingConfig, Secret, ShutdownConfig,
};
use serde::{Deserialize, Serialize};

/// Variables besides `MARKETPRISM__…`.
pub const LEGACY_ENV: &[LegacyVariable] = &[LegacyVariable { variable: "LIBCHDB", key: "library" }];

/// `config/embedded-clickhouse.yaml`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the HTTP interface; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach; it needs a `password`.
    pub allow_remote: bool,
    /// What statements may reach outside of the engine's own tables: `FILE`, `URL`, `S3`, `AZURE`, `REMOTE`, `MYSQL`,
    /// `POSTGRES`, or `ALL` for everything that the engine can do, programs of this machine included.
    pub allow_outside: Vec<Source>,
    /// File that gets the address once the interface is served, for port 0.
    pub address_file: Option<PathBuf>,
    /// Folder of the data; one process at a time.
    pub path: PathBuf,
    /// `libchdb.so`; without it, where `scripts/provision.sh` puts it.
    pub library: Option<PathBuf>,
    /// The one user.
    pub user: String,
    /// The user's password; empty for none.
    pub password: Secret,
    /// Statements that run at once; one more is refused with code 202. Each has a thread and a connection.
    pub statements_max: usize,
    /// Sessions kept at once.
    pub sessions_max: usize,
    /// The engine itself.
    pub engine: EngineConfig,
    /// Logs.
    pub logging: LoggingConfig,
    /// Health and metrics.
    pub admin: AdminConfig,
    /// Shutdown.
    pub shutdown: ShutdownConfig,
}

/// A source outside of the engine's own tables, named as in the engine's grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Source {
    /// Files of this machine: `file()`, `File`, disks, dictionaries.
    File,
    /// Other machines over HTTP: `url()`, `URL`.
    Url,
    /// S3 and what speaks like it: `s3()`, `gcs()`, `iceberg()`, `deltaLake()`.
    S3,
    /// Azure's blobs: `azureBlobStorage()`.
    Azure,
    /// Other ClickHouse servers: `remote()`, `cluster()`, `Distributed`.
    Remote,
    /// MySQL servers: `mysql()`.
    Mysql,
    /// PostgreSQL servers: `postgresql()`.
    Postgres,
    /// Everything that the engine can do, unconfined.
    All,
}

impl Source {
    /// The engine's name for it.
    pub(crate) fn grant(self) -> &'static str {
        match self {
            Self::File => "FILE",
            Self::Url => "URL",
            Self::S3 => "S3",
            Self::Azure => "AZURE",
            Self::Remote => "REMOTE",
            Self::Mysql => "MYSQL",
            Self::Postgres => "POSTGRES",
            Self::All => "*",
        }
    }

    /// Whether it needs files outside of the data folder.
    pub(crate) fn is_files(self) -> bool {
        matches!(self, Self::File | Self::All)
    }

    /// Whether it needs sockets.
    pub(crate) fn is_network(self) -> bool {
        self != Self::File
    }
}

/// Limits of the engine: what a server has in its `config.xml` and default profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Memory of all statements together in bytes (`max_server_memory_usage`); a statement that would exceed it fails.
    pub memory_bytes_max: u64,
    /// Threads that merge parts (`background_pool_size`).
    pub merge_threads: u16,
    /// Cache of index marks in bytes (`mark_cache_size`).
    pub mark_cache_bytes: u64,
    /// Settings every statement starts with, such as `fsync_after_insert: "1"` for safety against power loss.
    pub settings: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8123)),
            allow_remote: false,
            allow_outside: Vec::new(),
            address_file: None,
            path: PathBuf::from("data/clickhouse"),
            library: None,
            user: "default".to_owned(),
            password: Secret::default(),
            statements_max: 64,
            sessions_max: 64,
            engine: EngineConfig::default(),
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8123 + 10_000, 8123 + 11_000),
            shutdown: ShutdownConfig::default(),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            memory_bytes_max: 4 << 30,
            merge_threads: 2,
            mark_cache_bytes: 128 << 20,
            settings: BTreeMap::new(),
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
        check_listen(self.listen, self.allow_remote)?;
        if self.allow_remote && self.password.expose().is_empty() {
            return Err(ConfigError::invalid(
                "password",
                "",
                "allow_remote: true serves other machines: they need a password",
            ));
        }
        // The engine itself needs some 200 MB.
        if self.engine.memory_bytes_max < 512 << 20 {
            return Err(ConfigError::invalid(
                "engine.memory_bytes_max",
                self.engine.memory_bytes_max,
                "the engine needs at least 536870912 (512 MiB)",
            ));
        }
        if self.engine.merge_threads == 0 {
            return Err(ConfigError::invalid(
                "engine.merge_threads",
                0,
                "without merges parts pile up: at least 1",
            ));
        }
        if !(1..=1000).contains(&self.statements_max) {
            return Err(ConfigError::invalid(
                "statements_max",
                self.statements_max,
                "must be between 1 and 1000: each statement has a thread",
            ));
        }
        if !(1..=1000).contains(&self.sessions_max) {
            return Err(ConfigError::invalid(
                "sessions_max",
                self.sessions_max,
                "must be between 1 and 1000: each session has a connection",
            ));
        }
        Ok(())
    }
}

/// Refuses addresses that other machines reach, unless that is wanted.
pub(crate) fn check_listen(listen: SocketAddr, allow_remote: bool) -> Result<(), ConfigError> {
    if listen.ip().is_loopback() || allow_remote {
        return Ok(());
    }
    Err(ConfigError::invalid(
        "listen",
        listen,
        "is not a loopback address; allow_remote: true serves other machines",
    ))
}

/// Flags that win over the configuration.
#[derive(Debug, Clone, Args)]
pub struct Flags {
    /// Address of the HTTP interface, instead of the configuration's `listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Folder of the data, instead of the configuration's `path`
    #[arg(long, value_name = "FOLDER")]
    pub path: Option<PathBuf>,
    /// Cache folder of scripts/provision.sh
    #[arg(long, value_name = "FOLDER", env = "MARKETPRISM_CACHE", hide_env_values = true)]
    pub cache: Option<PathBuf>,
    #[arg(long, hide = true, env = "XDG_CACHE_HOME", hide_env_values = true)]
    pub(crate) cache_home: Option<PathBuf>,
}

/// The version that `scripts/provision.sh` fetches.
pub(crate) const LIBRARY_VERSION: &str = "26.7.3-stable.1";

impl Flags {
    /// Where `scripts/provision.sh` puts the library.
    pub(crate) fn provisioned_library(&self) -> PathBuf {
        let cache_home = || {
            let home =
                self.cache_home.clone().or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
            home.unwrap_or_default().join("marketprism")
        };
        let cache = self.cache.clone().unwrap_or_else(cache_home);
        cache.join(format!("libchdb-{LIBRARY_VERSION}")).join("libchdb.so")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_served_only_when_wanted() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8123));
        let error = Config { listen, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.path(), "listen");
        assert!(error.to_string().contains("0.0.0.0:8123"), "{error}");
        let error = Config { listen, allow_remote: true, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.path(), "password");
        let password = Secret::new("s3cret".to_owned());
        Config { listen, allow_remote: true, password, ..Config::default() }.validate().unwrap();
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/embedded-clickhouse.yaml");
        let shipped: Config =
            marketprism_service::config::load(Some(file.as_ref()), &BTreeMap::new(), LEGACY_ENV).unwrap();
        let text = |config: &Config| marketprism_service::config::to_yaml(config).unwrap();
        assert_eq!(text(&shipped), text(&Config::default()));
    }
}
