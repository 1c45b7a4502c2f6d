//! The ClickHouse engine as its own process on a free loopback port, which can be stopped, killed and started again with
//! the same port and data.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::tools::{binary, libchdb};

/// It takes half a second on a quiet machine; this only bounds one that never comes up.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// The variable that gives the engine its password.
const PASSWORD: &str = "MARKETPRISM__PASSWORD";

/// A running `embedded-clickhouse`. Dropping it stops it.
#[derive(Debug)]
pub struct ClickHouse {
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    environment: Vec<(String, String)>,
    password: String,
    address: String,
    process: Option<Process>,
}

impl ClickHouse {
    /// Starts an engine on a temporary directory.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts an engine on a temporary directory with more of its configuration
    /// (`("MARKETPRISM__STATEMENTS_MAX", "2")`).
    #[must_use]
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().to_owned();
        Self::launch(dir, Some(temporary), environment)
    }

    /// Starts an engine whose files are in `dir` and stay there.
    #[must_use]
    pub fn start_in(dir: &Path) -> Self {
        Self::launch(dir.to_owned(), None, &[])
    }

    fn launch(dir: PathBuf, temporary: Option<tempfile::TempDir>, environment: &[(&str, &str)]) -> Self {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let given = environment.iter().find(|(name, _)| name == PASSWORD).map(|(_, value)| value.clone());
        let mut server = Self {
            dir,
            _temporary: temporary,
            environment,
            password: given.unwrap_or_else(random_password),
            address: "127.0.0.1:0".to_owned(),
            process: None,
        };
        server.restart();
        server
    }

    /// Where clients of the HTTP interface connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The password of its user `default`: one of its own in every run, so that no client gets in without.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its health and metrics: `{"health":"127.0.0.1:1234","metrics":"…"}`.
    #[must_use]
    pub fn admin_addresses(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.dir.join("admin.json")).expect("the admin addresses");
        serde_json::from_str(&text).expect("the admin addresses")
    }

    /// Its process, while it runs.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("embedded-clickhouse is stopped")
    }

    /// Ends it with SIGTERM, as an operator would, and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = process.stop();
            assert!(
                status.success(),
                "embedded-clickhouse stopped with {status}; its log:\n{}",
                process.log()
            );
        }
    }

    /// Ends it with SIGKILL, as the kernel would, and waits for it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, after [`ClickHouse::stop`] or [`ClickHouse::kill`], on the same port and data.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "embedded-clickhouse is still running: stop or kill it first");
        let address_file = self.dir.join("address");
        if address_file.exists() {
            std::fs::remove_file(&address_file).expect("the last run's address");
        }
        let mut command = Command::new(binary("marketprism-embedded-clickhouse"));
        command
            .args(["--listen", &self.address, "--path"])
            .arg(self.dir.join("data"))
            .env("LIBCHDB", libchdb())
            .env(PASSWORD, &self.password)
            .env("MARKETPRISM__ADDRESS_FILE", &address_file)
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", self.dir.join("admin.json"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::spawn("embedded-clickhouse", command, &self.dir.join("log"));
        self.address = process.wait_for_file(&address_file, START_DEADLINE);
        self.process = Some(process);
    }
}

/// The standard library's own seeds are random; nothing in a test needs more.
fn random_password() -> String {
    format!("{:016x}{:016x}", RandomState::new().hash_one(1), RandomState::new().hash_one(2))
}
