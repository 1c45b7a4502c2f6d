//! A running `marketprism-monitoring` on free ports.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use marketprism_testkit::{Process, binary};
use serde_json::Value;
use tempfile::TempDir;

/// Services start within a second on a quiet machine; this only bounds one that never comes up.
const START_DEADLINE: Duration = marketprism_testkit::DEADLINE;

/// Dropping it stops it.
pub(crate) struct Monitoring {
    pub(crate) process: Process,
    pub(crate) http: reqwest::Client,
    /// `http://127.0.0.1:1234` of the console and its API.
    pub(crate) url: String,
    /// `/health` and `/metrics` of its admin server.
    pub(crate) health_url: String,
    pub(crate) metrics_url: String,
    /// The same as `url`, of the bridge.
    pub(crate) bridge: String,
    _folder: TempDir,
}

impl Monitoring {
    /// Starts it with variables on top of free ports: `("MARKETPRISM__NATS__URL", "nats://127.0.0.1:1234")`.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_with(&[], environment).await
    }

    /// The same with arguments.
    pub(crate) async fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses_file = folder.path().join("addresses");
        let mut command = Command::new(binary("marketprism-monitoring"));
        command
            .args(arguments)
            .env_clear()
            .env("MARKETPRISM__LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__BRIDGE__LISTEN", "127.0.0.1:0")
            // Tests poll faster than people look.
            .env("MARKETPRISM__AUTH__REQUESTS_PER_MINUTE_MAX", "100000")
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", &addresses_file)
            .envs(environment.iter().copied());
        let mut process = Process::spawn("monitoring", command, &folder.path().join("log"));
        let addresses = process.wait_for_file(&addresses_file, START_DEADLINE);
        let addresses: Value = serde_json::from_str(&addresses).unwrap();
        let http = client();
        let health = format!("http://{}/health", addresses["health"].as_str().unwrap());
        let listening = serving(&http, &health).await["listening"].clone();
        let [url, bridge] =
            ["console", "bridge"].map(|name| format!("http://{}", listening[name].as_str().unwrap()));
        let metrics_url = format!("http://{}/metrics", addresses["metrics"].as_str().unwrap());
        Self { process, http, url, health_url: health, metrics_url, bridge, _folder: folder }
    }

    /// Runs it to its end: `--check-config`, `--test`, a configuration that is refused.
    pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(binary("marketprism-monitoring"));
        command.args(arguments).env_clear().envs(environment.iter().copied()).output().unwrap()
    }

    /// The text of its `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        self.http.get(&self.metrics_url).send().await.unwrap().text().await.unwrap()
    }

    /// Status code and JSON body of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

/// The variables of a target `marketprism` at this address, signed with this secret.
pub(crate) fn target<'a>(url: &'a str, secret: &'a str) -> [(&'a str, &'a str); 2] {
    [
        ("MARKETPRISM__BRIDGE__TARGETS__MARKETPRISM__URL", url),
        ("MARKETPRISM__BRIDGE__TARGETS__MARKETPRISM__SECRET", secret),
    ]
}

/// Asks what a test asks.
pub(crate) fn client() -> reqwest::Client {
    // Another test of this process may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The health of a service once its start is over.
pub(crate) async fn serving(http: &reqwest::Client, health: &str) -> Value {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let body: Value = http.get(health).send().await.unwrap().json().await.unwrap();
        if body["checks"]["service"]["status"] == "healthy" {
            return body;
        }
        assert!(Instant::now() < deadline, "it has not started: {body}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
