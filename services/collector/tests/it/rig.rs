//! Simulator, broker with its streams, collector: each a real process on free ports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use marketprism_bus::topology::{self, Allow};
use marketprism_bus::{Bus, ConsumerConfig, NatsConfig};
use marketprism_core::topology::{MARKET_DATA, ORDERBOOK_SNAP};
use marketprism_core::{DataType, Message, Subject};
use marketprism_exchanges::registry::INTEGRATIONS;
use marketprism_testkit::{NatsServer, Process, binary, poll_until};
use serde_json::{Value, json};

pub(crate) const DEADLINE: Duration = marketprism_testkit::DEADLINE;

pub(crate) struct Rig {
    pub(crate) collector: Process,
    _simulator: Process,
    pub(crate) nats: NatsServer,
    pub(crate) bus: Bus,
    simulator_url: String,
    addresses: Value,
    config: Value,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

/// A broker with every stream.
pub(crate) async fn broker() -> (NatsServer, Bus) {
    let nats = NatsServer::start();
    let config = NatsConfig { url: nats.url(), ..NatsConfig::default() };
    let bus = Bus::connect(&config, "test").await.unwrap();
    let steps = topology::plan(&bus, &topology::defaults(), Allow::default()).await.unwrap();
    topology::apply(&bus, &steps).await.unwrap();
    (nats, bus)
}

/// A collector process with this configuration, and the folder of its files.
pub(crate) fn collector(folder: &tempfile::TempDir, config: &Value) -> Process {
    let path = folder.path().join("collector.yaml");
    std::fs::write(&path, config.to_string()).unwrap();
    let mut command = Command::new(binary("marketprism-collector"));
    command.arg("--config").arg(path);
    Process::spawn("collector", command, &folder.path().join("collector.log"))
}

impl Rig {
    /// Two symbols of each market at 400 messages a second, books at every update.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same, with changes to the collector's configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        let exchanges = json!({
            "binance_spot": { "symbols": "all" },
            "binance_usdm": { "symbols": "all", "market_types": ["perpetual"] },
        });
        Self::launch(&["--rate", "400", "--symbols", "2"], exchanges, change).await
    }

    /// A simulator with these arguments and a collector of these exchanges alone, books at every update.
    pub(crate) async fn launch(
        arguments: &[&str],
        mut exchanges: Value,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (nats, bus) = broker().await;
        let address_file = folder.path().join("simulator.json");
        let mut command = Command::new(binary("marketprism-exchange-simulator"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        command.arg("--ledger").arg(folder.path().join("ledger.jsonl"));
        command.arg("--address-file").arg(&address_file);
        command.env("MARKETPRISM__ADMIN__HEALTH_LISTEN", "127.0.0.1:0");
        command.env("MARKETPRISM__ADMIN__METRICS_LISTEN", "127.0.0.1:0");
        let mut simulator = Process::spawn("simulator", command, &folder.path().join("simulator.log"));
        let address: Value = serde_json::from_str(&simulator.wait_for_file(&address_file, DEADLINE)).unwrap();
        let address = address["simulator"].as_str().unwrap().to_owned();
        let http = client();
        let simulator_url = format!("http://{address}");
        let exchanges = exchanges.as_object_mut().unwrap();
        for (id, exchange) in exchanges.iter_mut() {
            // Budgets of REST and the pace of connecting are those of a host: each exchange's is the same address spelled
            // its own way, and of Binance each market's has sockets of its own.
            let (rest, sockets) = match id.as_str() {
                "okx_spot" | "okx_swap" => ("127.1", "127.1"),
                "deribit" => ("127.0.1", "127.0.1"),
                "binance_usdm" => ("127.0.0.1", "0x7f.1"),
                _ => ("127.0.0.1", "127.0.0.1"),
            };
            exchange["ws_url"] = format!("ws://{address}").replace("127.0.0.1", sockets).into();
            exchange["rest_url"] = simulator_url.replace("127.0.0.1", rest).into();
            exchange["orderbook"] = json!({ "publish_interval": "0s" });
        }
        // What is not named would be collected from the real exchange.
        for integration in INTEGRATIONS {
            exchanges.entry(integration.id).or_insert_with(|| json!({ "enabled": false }));
        }
        let addresses = folder.path().join("addresses.json");
        let mut config = json!({
            "nats": { "url": nats.url() },
            "admin": { "health_listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "addresses_file": addresses },
            "reconnect": { "first": "50ms", "max": "500ms" },
            "exchanges": exchanges,
        });
        change(&mut config);
        let mut collector = collector(&folder, &config);
        let addresses = serde_json::from_str(&collector.wait_for_file(&addresses, DEADLINE)).unwrap();
        Self { collector, _simulator: simulator, nats, bus, simulator_url, addresses, config, http, folder }
    }

    /// Another collector with the same configuration and these variables in its environment.
    pub(crate) fn another_collector(&self, environment: &[(&str, &str)]) -> Process {
        let folder = self.folder.path().join("another");
        std::fs::create_dir(&folder).unwrap();
        let mut config = self.config.clone();
        config["admin"]["addresses_file"] = json!(folder.join("addresses.json"));
        let path = folder.join("collector.yaml");
        std::fs::write(&path, config.to_string()).unwrap();
        let mut command = Command::new(binary("marketprism-collector"));
        command.arg("--config").arg(path).envs(environment.iter().copied());
        Process::spawn("another collector", command, &folder.join("collector.log"))
    }

    /// Kills the collector as a kernel out of memory would, and starts it again.
    pub(crate) fn restart_killed_collector(&mut self) {
        self.collector.kill();
        let addresses = self.folder.path().join("addresses.json");
        std::fs::remove_file(&addresses).unwrap();
        self.collector = collector(&self.folder, &self.config);
        self.addresses = serde_json::from_str(&self.collector.wait_for_file(&addresses, DEADLINE)).unwrap();
    }

    pub(crate) async fn health(&self) -> Value {
        let address = self.addresses["health"].as_str().unwrap();
        get(&self.http, &format!("http://{address}/health")).await
    }

    /// Addresses and paths of what an operator and Prometheus ask for.
    pub(crate) fn admin_pages(&self) -> [(String, &'static str); 2] {
        let address = |server: &str| self.addresses[server].as_str().unwrap().to_owned();
        [(address("health"), "/health"), (address("metrics"), "/metrics")]
    }

    /// The collector's page of every stream; `query` begins with `?` or is empty.
    pub(crate) async fn streams(&self, query: &str) -> Value {
        let address = self.addresses["health"].as_str().unwrap();
        get(&self.http, &format!("http://{address}/status{query}")).await
    }

    /// The collector's configuration.
    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    /// Changes the collector's configuration file. Nobody is told.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        let (new, path) = (self.folder.path().join("new.yaml"), self.folder.path().join("collector.yaml"));
        // In one step, as an editor does: the collector may be about to read it.
        std::fs::write(&new, self.config.to_string()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Gives the collector an order over NATS.
    pub(crate) async fn order(&self, order: &str, body: &Value) -> Value {
        let subject = format!("control.collector.{order}");
        let answer = self.bus.ask(&subject, body.to_string().into()).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    pub(crate) async fn metrics(&self) -> String {
        let address = self.addresses["metrics"].as_str().unwrap();
        self.http.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// Sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.metrics().await;
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    pub(crate) async fn status(&self) -> Value {
        get(&self.http, &format!("{}/control/status", self.simulator_url)).await
    }

    /// Asks the simulator for a fault or another control action.
    pub(crate) async fn control(&self, action: &str, body: &Value) {
        let request = self.http.post(format!("{}/control/{action}", self.simulator_url));
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.text().await.unwrap());
    }

    /// Waits until trades and books of every symbol flow.
    pub(crate) async fn flowing(&self) {
        poll_until(DEADLINE, "every stream is live", async || self.health().await["status"] == "healthy")
            .await;
    }

    /// Waits until the log says something so many times.
    pub(crate) async fn logged(&self, text: &str, times: usize) {
        poll_until(DEADLINE, text, async || self.collector.log().matches(text).count() >= times).await;
    }

    /// Waits until the exchange has sent some more of every stream: only the next event shows that one is missing.
    pub(crate) async fn more_of_everything(&self) {
        let sent = async || -> BTreeMap<String, u64> {
            let status = self.status().await;
            let streams = status["streams"].as_array().unwrap().iter();
            streams
                .filter(|one| one["data_type"] == "trade" || one["data_type"] == "orderbook")
                .map(|one| (format!("{} {}", one["data_type"], place(one)), one["sent"].as_u64().unwrap()))
                .collect()
        };
        let before = sent().await;
        poll_until(DEADLINE, "more of everything", async || {
            let now = sent().await;
            now.len() == 8
                && now.iter().all(|(key, count)| *count > before.get(key).copied().unwrap_or_default() + 3)
        })
        .await;
    }

    /// Silences the exchange, stops the collector, and reads everything that is in the streams.
    pub(crate) async fn finish(mut self) -> Stored {
        self.control("pause", &json!({})).await;
        poll_until(DEADLINE, "everything is on the wire", async || self.status().await["in_flight"] == 0)
            .await;
        poll_until(DEADLINE, "everything on the wire is read", async || {
            self.status().await["unread_bytes"] == 0
        })
        .await;
        let status = if let Some(status) = self.collector.ended() { status } else { self.collector.stop() };
        self.control("flush", &json!({})).await;
        let ledger = std::fs::read_to_string(self.folder.path().join("ledger.jsonl")).unwrap();
        let ledger = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Stored { status, log: self.collector.log(), ledger, messages: read_streams(&self.bus).await }
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("collector.log")
    }
}

pub(crate) fn client() -> reqwest::Client {
    // A second install in one process is refused and harmless.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Each request has a connection of its own: one that is idle may be closed at the moment at which it is used again.
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(DEADLINE).build().unwrap()
}

async fn get(http: &reqwest::Client, url: &str) -> Value {
    http.get(url).send().await.unwrap().json().await.unwrap()
}

/// What is left after a run.
pub(crate) struct Stored {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
    /// What the exchange wrote to a socket.
    pub(crate) ledger: Vec<Value>,
    /// Subject and payload of every message in both streams.
    pub(crate) messages: Vec<(Subject, Value)>,
}

impl Stored {
    pub(crate) fn of(&self, data_type: DataType) -> impl Iterator<Item = &Value> {
        self.messages
            .iter()
            .filter(move |(subject, _)| subject.data_type() == data_type)
            .map(|(_, value)| value)
    }

    /// Ids of the stored trades, by market and symbol, in stream order.
    pub(crate) fn trade_ids(&self) -> BTreeMap<String, Vec<u64>> {
        let mut ids: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for trade in self.of(DataType::Trade) {
            ids.entry(place(trade)).or_default().push(trade["trade_id"].as_str().unwrap().parse().unwrap());
        }
        ids
    }

    /// Every trade the exchange sent is stored, none twice, and the ids have no hole.
    pub(crate) fn assert_trades_are_whole(&self) {
        assert_eq!(self.missing_trades(), Vec::<String>::new(), "{}", self.log);
    }

    /// Trades are stored once, and each one that is missing lies in a gap that says so.
    pub(crate) fn assert_trades_are_whole_or_declared(&self) {
        let gaps: Vec<_> = self.of(DataType::Gap).filter(|gap| gap["missing_data_type"] == "trade").collect();
        for missing in self.missing_trades() {
            let declared = gaps.iter().any(|gap| {
                let id = missing.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
                missing.starts_with(&place(gap))
                    && (gap["from_sequence"].as_u64().unwrap()..=gap["to_sequence"].as_u64().unwrap())
                        .contains(&id)
            });
            assert!(declared, "{missing} is not stored and in no gap: {gaps:?}\n{}", self.log);
        }
    }

    /// Trades that were sent, or lie between stored ones, and are not stored: market, instrument and id.
    fn missing_trades(&self) -> Vec<String> {
        let stored = self.trade_ids();
        assert_eq!(stored.len(), 4, "two symbols of two markets");
        let mut missing = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (key, mut ids) in stored {
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{key}: a trade is stored twice");
            for pair in ids.windows(2) {
                missing.extend((pair[0] + 1..pair[1]).map(|id| format!("{key} {id}")));
            }
            known.extend(ids.iter().map(|id| format!("{key} {id}")));
        }
        let sent = self.ledger.iter().filter(|line| line["data_type"] == "trade");
        let sent = sent.map(|trade| format!("{} {}", place(trade), trade["trade_id"].as_str().unwrap()));
        missing.extend(sent.filter(|key| !known.contains(key)));
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// The stored books contain as many updates as the exchange sent, but for `missing`.
    pub(crate) fn books_contain(&self) -> (u64, u64) {
        let sent = self.ledger.iter().filter(|line| line["data_type"] == "orderbook").count() as u64;
        let contained = self.of(DataType::OrderBook).map(|book| book["update_count"].as_u64().unwrap()).sum();
        (sent, contained)
    }
}

/// Exchange, market type and instrument of a message or a line of the ledger.
pub(crate) fn place(value: &Value) -> String {
    ["exchange", "market_type", "instrument_id"].map(|field| value[field].as_str().unwrap()).join(" ")
}

pub(crate) async fn read_streams(bus: &Bus) -> Vec<(Subject, Value)> {
    let mut messages = Vec::new();
    for stream in [MARKET_DATA, ORDERBOOK_SNAP] {
        let wanted = bus.stream_state(stream).await.unwrap().messages;
        let config = ConsumerConfig {
            durable: format!("test-{stream}"),
            max_ack_pending: 100_000,
            ..ConsumerConfig::default()
        };
        let consumer = bus.consumer(stream, config).await.unwrap();
        let mut read = 0;
        while read < wanted {
            for delivery in consumer.next_batch(1_000, 64 << 20, Duration::from_secs(1)).await.unwrap() {
                let subject = Subject::parse(&delivery.subject).unwrap();
                Message::decode(&subject, &delivery.payload)
                    .unwrap_or_else(|error| panic!("{subject}: {error}"));
                messages.push((subject, serde_json::from_slice(&delivery.payload).unwrap()));
                read += 1;
            }
        }
    }
    messages
}
