//! A running `marketprism-monitoring` on free ports.

use std::process::Command;
use std::time::{Duration, Instant};

use marketprism_testkit::{Process, binary};
use serde_json::Value;
use tempfile::TempDir;

/// It starts within a fraction of a second; this only bounds one that never comes up.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// Dropping it stops it.
pub(crate) struct Monitoring {
    pub(crate) process: Process,
    pub(crate) http: reqwest::Client,
    /// `http://127.0.0.1:1234` of the console and its API.
    pub(crate) url: String,
    _folder: TempDir,
}

impl Monitoring {
    /// Starts it with variables on top of free ports: `("MARKETPRISM__NATS__URL", "nats://127.0.0.1:1234")`.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses_file = folder.path().join("addresses");
        let mut command = Command::new(binary("marketprism-monitoring"));
        command
            .env_clear()
            .env("MARKETPRISM__LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0")
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", &addresses_file)
            .envs(environment.iter().copied());
        let mut process = Process::spawn("monitoring", command, &folder.path().join("log"));
        let addresses = process.wait_for_file(&addresses_file, START_DEADLINE);
        let addresses: Value = serde_json::from_str(&addresses).unwrap();
        // Another test of this process may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let health = format!("http://{}/health", addresses["health"].as_str().unwrap());
        let url = listening(&http, &health).await;
        Self { process, http, url, _folder: folder }
    }

    /// Status code and JSON body of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

/// Its health says where it listens once it does.
async fn listening(http: &reqwest::Client, health: &str) -> String {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let body: Value = http.get(health).send().await.unwrap().json().await.unwrap();
        if let Some(address) = body["listening"]["console"].as_str() {
            return format!("http://{address}");
        }
        assert!(Instant::now() < deadline, "it does not listen: {body}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
