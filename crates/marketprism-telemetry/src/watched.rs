//! The whole pipeline against simulated exchanges, with all that watches it: blackbox exporter, Prometheus, Alertmanager and the
//! monitoring service, configured by copies of what is in `deploy/`, with free ports and shorter times in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use marketprism_demo::folder::Folder;
use marketprism_demo::http::Http;
use marketprism_demo::options::{Market, Ports as Choice, Servers, simulated};
use marketprism_demo::ports::Ports;
use marketprism_demo::settings;
use marketprism_demo::stack::{Blueprint, Stack};
use marketprism_testkit::{MonitoringServer, Process, binary};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hurry::hurried;
use crate::root;

/// As often as the copy of the configuration scrapes.
const BETWEEN_SCRAPES: Duration = Duration::from_secs(1);

/// What differs from test to test.
#[derive(Debug)]
pub struct Plan {
    /// Symbols of each market.
    pub symbols: u16,
    /// Messages a second of all exchanges.
    pub rate: u64,
    /// Configuration of processes besides, by their names.
    pub overrides: Vec<(&'static str, Value)>,
    /// So many times shorter are the times in rules and routes.
    pub hurry: u32,
    /// Texts of the rules and what is in their place.
    pub rewritten: Vec<(&'static str, &'static str)>,
    /// Configuration of the monitoring service besides.
    pub monitoring: Value,
}

/// Everything, running. Dropping it ends it.
#[derive(Debug)]
pub struct Watched {
    /// For requests to any of them.
    pub http: Http,
    /// The pipeline.
    pub stack: Stack,
    /// Its folder.
    pub folder: Folder,
    /// Where the pipeline listens.
    pub ports: Ports,
    /// Scrapes, and evaluates the rules.
    pub prometheus: MonitoringServer,
    /// Routes alerts.
    pub alertmanager: MonitoringServer,
    _blackbox: MonitoringServer,
    _monitoring: Process,
    _dir: TempDir,
}

impl Watched {
    /// Starts everything and returns when each of them answers; the first scrape may still be missing.
    pub async fn start(plan: Plan) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ports = Ports::choose(Choice::Free).expect("free ports");
        let folder = Folder::take(dir.path().join("pipeline")).expect("a folder");
        let http = Http::new(folder.password()).expect("an HTTP client");
        let stack = pipeline(&plan, ports, &folder, &http).await;

        let blackbox = MonitoringServer::blackbox_exporter(&root().join("deploy/blackbox/blackbox.yml"));
        let alertmanager = alertmanager(dir.path(), ports.console_bridge, plan.hurry);
        let config = copy_of_prometheus(dir.path(), &plan);
        let targets = dir.path().join("prometheus/targets");
        let target = |name: &str, address: &str| {
            fs::write(targets.join(name).with_extension("yaml"), format!("- targets: [{address:?}]\n"))
                .expect("a targets file");
        };
        for (name, port) in [
            ("collector", ports.collector_admin[1]),
            ("hot-storage", ports.hot_storage_admin[1]),
            ("cold-storage", ports.cold_storage_admin[1]),
            ("embedded-clickhouse", ports.clickhouse_hot_admin[1]),
            ("monitoring", ports.console_admin[1]),
        ] {
            target(name, &format!("127.0.0.1:{port}"));
        }
        target("alertmanager", alertmanager.address());
        let probes = probes(&ports, blackbox.address());
        fs::write(targets.join("http-internal.yaml"), probes).expect("the probes");
        let exporter = json!([{ "targets": ["127.0.0.1:1"], "labels": { "exchange": "okx", "__exporter": blackbox.address() } }]);
        fs::write(targets.join("tls-exchanges.yaml"), exporter.to_string()).expect("the probes");
        let prometheus = MonitoringServer::prometheus(&config);
        target("prometheus", prometheus.address());
        let asked = json!({ "prometheus": prometheus.url(), "alertmanager": alertmanager.url() });
        let monitoring = monitoring(&folder, &ports, &asked, &plan.monitoring);
        Self {
            http,
            stack,
            folder,
            ports,
            prometheus,
            alertmanager,
            _blackbox: blackbox,
            _monitoring: monitoring,
            _dir: dir,
        }
    }

    /// The series that an expression has at this moment; an error of Prometheus is one of the caller.
    pub async fn query(&self, expr: &str) -> Vec<Value> {
        let query: String = form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        let url = format!("{}/api/v1/query?query={query}", self.prometheus.url());
        let answer = self.http.get_json(&url).await.expect("Prometheus answers");
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until each expression has a series with a number, 0 for one; "not a number" is none. Fails with those that have none,
    /// and whose they are.
    pub async fn have_numbers(&self, patience: Duration, asked: impl IntoIterator<Item = (String, String)>) {
        let end = Instant::now() + patience;
        let mut empty: Vec<_> = asked.into_iter().collect();
        loop {
            let mut still = Vec::new();
            for (asker, expr) in empty {
                if !self.query(&expr).await.iter().any(is_number) {
                    still.push((asker, expr));
                }
            }
            empty = still;
            if empty.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "nothing in the running pipeline after {patience:?}: {empty:#?}");
            tokio::time::sleep(BETWEEN_SCRAPES).await;
        }
    }
}

fn is_number(series: &Value) -> bool {
    series["value"][1].as_str().is_some_and(|value| value != "NaN")
}

async fn pipeline(plan: &Plan, ports: Ports, folder: &Folder, http: &Http) -> Stack {
    #[derive(Debug, Parser)]
    struct Environment {
        #[command(flatten)]
        servers: Servers,
    }
    let Environment { servers } = Environment::parse_from(["watched"]);
    let simulator = simulated(42, plan.rate, plan.symbols, &Market::ALL);
    let mut blueprint = Blueprint::new(ports, &servers, Some(simulator));
    blueprint.overrides = plan.overrides.iter().cloned().collect();
    let mut stack = Stack::start(blueprint, folder, http).await.expect("broker, tiers and exchanges");
    let subscription = stack.subscription().await.expect("what the simulator offers");
    stack.start_services(folder, &subscription, Duration::from_secs(1)).await.expect("the services");
    stack
}

fn monitoring(folder: &Folder, ports: &Ports, upstreams: &Value, besides: &Value) -> Process {
    let mut config = settings::monitoring(ports, folder.password());
    // Here both are there.
    config["upstreams"] = upstreams.clone();
    settings::merge(&mut config, besides);
    let path = folder.config("monitoring", &config).expect("its configuration");
    let mut command = Command::new(binary("marketprism-monitoring"));
    command.arg("--config").arg(path);
    Process::spawn("monitoring", command, &folder.log("monitoring"))
}

fn alertmanager(dir: &Path, bridge: u16, hurry: u32) -> MonitoringServer {
    let own = dir.join("alertmanager");
    copy(&root().join("deploy/alertmanager/templates"), &own.join("templates"), Clone::clone);
    let text = read(&root().join("deploy/alertmanager/alertmanager.yml"));
    let text = text.replace("127.0.0.1:8060", &format!("127.0.0.1:{bridge}"));
    let config = own.join("alertmanager.yml");
    fs::write(&config, hurried(&text, hurry)).expect("Alertmanager's configuration");
    MonitoringServer::alertmanager(&config)
}

/// Rules with shorter times, scraped and evaluated each second, and the engine's metrics besides.
fn copy_of_prometheus(dir: &Path, plan: &Plan) -> PathBuf {
    let (source, own) = (root().join("deploy/prometheus"), dir.join("prometheus"));
    fs::create_dir_all(own.join("targets")).expect("a folder");
    copy(&source.join("rules"), &own.join("rules"), |text| {
        let rewritten = plan.rewritten.iter().fold(text.clone(), |text, (old, new)| text.replace(old, new));
        hurried(&rewritten, plan.hurry)
    });
    for (old, _) in &plan.rewritten {
        let is_there = crate::rules::files("rules").iter().any(|file| read(file).contains(old));
        assert!(is_there, "no rule says {old}");
    }
    let mut text = read(&source.join("prometheus.yml"));
    for key in ["scrape_interval: 15s", "scrape_interval: 60s", "evaluation_interval: 15s"] {
        assert!(text.contains(key), "prometheus.yml says {key} no more");
        text = text.replace(key, &format!("{} 1s", key.split(' ').next().unwrap_or_default()));
    }
    text = text.replace("scrape_timeout: 10s", "scrape_timeout: 1s");
    text.push_str("  - job_name: embedded-clickhouse\n");
    text.push_str("    file_sd_configs: [{files: [targets/embedded-clickhouse.yaml]}]\n");
    let config = own.join("prometheus.yml");
    fs::write(&config, text).expect("Prometheus' configuration");
    config
}

/// The six components of `deploy/prometheus/targets/http-internal.yaml`, at these ports.
fn probes(ports: &Ports, exporter: &str) -> String {
    let probe = |component: &str, port: u16, path: &str| {
        let labels = json!({ "component": component, "__exporter": exporter });
        json!({ "targets": [format!("http://127.0.0.1:{port}/{path}")], "labels": labels })
    };
    json!([
        probe("collector", ports.collector_admin[0], "health"),
        probe("hot-storage", ports.hot_storage_admin[0], "health"),
        probe("cold-storage", ports.cold_storage_admin[0], "health"),
        probe("clickhouse-hot", ports.clickhouse_hot, "ping"),
        probe("clickhouse-cold", ports.clickhouse_cold, "ping"),
        probe("broker", ports.nats_monitor, "healthz"),
    ])
    .to_string()
}

fn copy(from: &Path, to: &Path, change: impl Fn(&String) -> String) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("a file").path();
        fs::write(to.join(path.file_name().expect("a name")), change(&read(&path))).expect("a copy");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
