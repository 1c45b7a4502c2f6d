//! The whole pipeline before the service: simulated exchanges, broker, collector, both tiers; each a real process.

use std::process::Command;
use std::time::Duration;

use marketprism_testkit::{ClickHouse, MonitoringServer, NatsServer, Process, binary, poll_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::monitoring::{Monitoring, client, serving};

/// Bounds what takes seconds; only a defect or a stalled machine reaches it.
pub(crate) const DEADLINE: Duration = marketprism_testkit::DEADLINE;

/// Integrations that the collector of the rig has, each an exchange of the live view.
const EXCHANGES: usize = 5;

/// Dropped in this order: those who ask before those who answer.
pub(crate) struct Rig {
    pub(crate) monitoring: Monitoring,
    pub(crate) collector: Option<Process>,
    _storage: Vec<Process>,
    alertmanager: MonitoringServer,
    _simulator: Process,
    _nats: NatsServer,
    _clickhouse: ClickHouse,
    collector_config: Value,
    folder: TempDir,
}

impl Rig {
    /// Three symbols of each market of three exchanges, at 300 messages a second.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (nats, clickhouse) = (NatsServer::start(), ClickHouse::start());
        let mut bootstrap = spawn(&folder, "broker-bootstrap", &json!({ "nats": { "url": nats.url() } }));
        assert!(bootstrap.wait().success(), "{}", bootstrap.log());
        let (simulator, exchange) = simulator(&folder);

        let engine = |database: &str| json!({ "url": clickhouse.url(), "password": clickhouse.password(), "database": database });
        let (hot, cold) = (engine("marketprism_hot"), engine("marketprism_cold"));
        let http = client();
        let mut storage = Vec::new();
        let mut components = json!({});
        let hot_storage = json!({ "clickhouse": hot });
        let cold_storage = json!({ "hot": hot, "cold": cold, "replication": { "interval": "1s" } });
        for (name, key, config) in
            [("hot-storage", "hot_storage", hot_storage), ("cold-storage", "cold_storage", cold_storage)]
        {
            let config = with_admin(&folder, name, config, &nats);
            let mut process = spawn(&folder, name, &config);
            components[key] = urls(&mut process, &config);
            // The hot tier's tables are there, and as they must be, before cold-storage looks at them.
            let health = format!("{}/health", components[key]["health"].as_str().unwrap());
            serving(&http, &health).await;
            storage.push(process);
        }
        let mut collector_config =
            with_admin(&folder, "collector", json!({ "exchanges": exchanges(&exchange) }), &nats);
        let mut collector = spawn(&folder, "collector", &collector_config);
        components["collector"] = urls(&mut collector, &collector_config);
        // Started again, it is where it was.
        for (field, which) in [("health_listen", "health"), ("metrics_listen", "metrics")] {
            let url =
                components["collector"][which].as_str().unwrap().trim_start_matches("http://").to_owned();
            collector_config["admin"][field] = url.into();
        }
        let alertmanager = alertmanager(&folder);
        let upstreams = json!({ "alertmanager": alertmanager.url() });
        let config = json!({ "upstreams": upstreams, "nats": { "url": nats.url() }, "hot": hot, "cold": cold, "components": components });
        let path = folder.path().join("monitoring.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        let monitoring = Monitoring::start_with(&["--config", path.to_str().unwrap()], &[]).await;
        Self {
            monitoring,
            collector: Some(collector),
            _storage: storage,
            alertmanager,
            _simulator: simulator,
            _nats: nats,
            _clickhouse: clickhouse,
            collector_config,
            folder,
        }
    }

    /// One of the live pages.
    pub(crate) async fn live(&self, page: &str) -> Value {
        let (code, body) = self.monitoring.get(&format!("/api/v1/live/{page}")).await;
        assert_eq!(code, 200, "{page}: {body}");
        body
    }

    /// Waits until rows flow into both tiers, every exchange is live and every part answers; the pipeline as it was then.
    pub(crate) async fn flowing(&self) -> Value {
        self.live_when("pipeline", "everything flows", |pipeline| {
            let (hops, nodes) = (&pipeline["hops"], pipeline["nodes"].as_object().unwrap());
            let exchanges = pipeline["exchanges"].as_array().unwrap();
            let flows = |hop: &str| hops[hop]["rate_per_second"].as_f64() > Some(0.0);
            ["receive", "publish", "store", "replicate"].into_iter().all(flows)
                && hops["publish"]["lag_seconds"].as_f64() > Some(0.0)
                && nodes.values().all(|node| node["state"] != "unreachable")
                && exchanges.len() == EXCHANGES
                && exchanges.iter().all(|exchange| exchange["state"] == "live")
        })
        .await
    }

    /// One of the live pages, as soon as it satisfies `wanted`.
    pub(crate) async fn live_when(&self, page: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        poll_until(DEADLINE, what, async || {
            found = self.live(page).await;
            wanted(&found)
        })
        .await;
        found
    }

    /// Lets Alertmanager know of an alert, as Prometheus would.
    pub(crate) async fn fire(&self, alert: &Value) {
        let url = format!("{}/api/v2/alerts", self.alertmanager.url());
        let answer = self.monitoring.http.post(url).json(&json!([alert])).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Starts the collector again after it was killed, where it was.
    pub(crate) fn start_collector(&mut self) {
        self.collector = Some(spawn(&self.folder, "collector", &self.collector_config));
    }
}

fn spawn(folder: &TempDir, name: &str, config: &Value) -> Process {
    let path = folder.path().join(format!("{name}.yaml"));
    std::fs::write(&path, config.to_string()).unwrap();
    let mut command = Command::new(binary(&format!("marketprism-{name}")));
    command.arg("--config").arg(path);
    Process::spawn(name, command, &folder.path().join(format!("{name}.log")))
}

fn with_admin(folder: &TempDir, name: &str, mut config: Value, nats: &NatsServer) -> Value {
    let addresses_file = folder.path().join(format!("{name}.addresses"));
    let free = "127.0.0.1:0";
    config["admin"] =
        json!({ "health_listen": free, "metrics_listen": free, "addresses_file": addresses_file });
    config["nats"] = json!({ "url": nats.url() });
    config
}

fn urls(process: &mut Process, config: &Value) -> Value {
    let file = config["admin"]["addresses_file"].as_str().unwrap();
    let addresses: Value = serde_json::from_str(&process.wait_for_file(file.as_ref(), DEADLINE)).unwrap();
    let url = |which: &str| format!("http://{}", addresses[which].as_str().unwrap());
    json!({ "health": url("health"), "metrics": url("metrics") })
}

fn alertmanager(folder: &TempDir) -> MonitoringServer {
    let path = folder.path().join("alertmanager.yml");
    std::fs::write(&path, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    MonitoringServer::alertmanager(&path)
}

fn simulator(folder: &TempDir) -> (Process, String) {
    let address_file = folder.path().join("simulator.json");
    let mut command = Command::new(binary("marketprism-exchange-simulator"));
    command.args(["--listen", "127.0.0.1:0", "--rate", "300", "--symbols", "3"]);
    command.args(["--markets", "binance_spot,binance_usdm,okx_spot,okx_swap,deribit"]);
    command.arg("--ledger").arg(folder.path().join("ledger.jsonl"));
    command.arg("--address-file").arg(&address_file);
    command.env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0");
    command.env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0");
    let mut simulator = Process::spawn("simulator", command, &folder.path().join("simulator.log"));
    let address: Value = serde_json::from_str(&simulator.wait_for_file(&address_file, DEADLINE)).unwrap();
    (simulator, address["simulator"].as_str().unwrap().to_owned())
}

/// All that the simulator offers. REST budgets are those of a host: each exchange's is the same address spelled its own way.
fn exchanges(address: &str) -> Value {
    let exchange = |host: &str| {
        json!({
            "symbols": "all",
            "ws_url": format!("ws://{address}"),
            "rest_url": format!("http://{}", address.replace("127.0.0.1", host)),
            "orderbook": { "publish_interval": "100ms" },
        })
    };
    json!({
        "binance_spot": exchange("127.0.0.1"),
        "binance_usdm": exchange("127.0.0.1"),
        "okx_spot": exchange("127.1"),
        "okx_swap": exchange("127.1"),
        "deribit": exchange("127.0.1"),
    })
}
