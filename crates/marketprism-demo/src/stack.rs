//! The processes of the pipeline: started in order, restarted when one ends, stopped in the order in which data flows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::failure::{Failure, io};
use crate::folder::Folder;
use crate::http::Http;
use crate::options::{Market, Restartable, Servers};
use crate::ports::Ports;
use crate::process::{Process, Program, Stopped};
use crate::settings::{self, Subscription, address};

/// How long a server may take to answer; the engine's first start on a cold disk is the slowest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a service may take to drain; above its own grace of 20 s.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// A service that ends this often by itself is not restarted again.
const RESTARTS_MAX: u32 = 5;

/// Name of the second hot-storage.
pub const HOT_STANDBY: &str = "hot-storage-standby";
/// Name of the second cold-storage.
pub const COLD_STANDBY: &str = "cold-storage-standby";

/// What is started, and with what.
#[derive(Debug)]
pub struct Blueprint {
    /// Where every server listens.
    pub ports: Ports,
    nats_server: PathBuf,
    libchdb: PathBuf,
    /// `None` where the exchanges are the real ones.
    simulator: Option<Vec<OsString>>,
    /// Whether a second hot-storage and a second cold-storage stand by.
    pub standbys: bool,
    /// Ports that a process is told in place of the real ones, by its name: of proxies.
    pub detours: BTreeMap<&'static str, Ports>,
    /// What a process is configured besides, by its name.
    pub overrides: BTreeMap<&'static str, Value>,
}

impl Blueprint {
    /// Without detours and overrides. `simulator` is its command line.
    pub fn new(ports: Ports, servers: &Servers, simulator: Option<Vec<OsString>>) -> Self {
        let (nats_server, libchdb) = (servers.nats_server(), servers.libchdb());
        Self {
            ports,
            nats_server,
            libchdb,
            simulator,
            standbys: false,
            detours: BTreeMap::new(),
            overrides: BTreeMap::new(),
        }
    }

    fn ports_told(&self, name: &str) -> &Ports {
        self.detours.get(name).unwrap_or(&self.ports)
    }
}

/// The running pipeline.
#[derive(Debug)]
pub struct Stack {
    blueprint: Blueprint,
    http: Http,
    /// In the order in which they were started.
    processes: Vec<Process>,
    restarts: u32,
}

impl Stack {
    /// Starts broker, both tiers and the simulator, and creates the streams.
    pub async fn start(blueprint: Blueprint, folder: &Folder, http: &Http) -> Result<Self, Failure> {
        let mut stack = Self { blueprint, http: http.clone(), processes: Vec::new(), restarts: 0 };
        stack.start_nats(folder).await?;
        stack.start_engines(folder).await?;
        if let Some(arguments) = stack.blueprint.simulator.clone() {
            stack.start_simulator(folder, arguments).await?;
        }
        let config = settings::broker_bootstrap(&stack.blueprint.ports);
        let bootstrap = stack.program("broker-bootstrap", "broker-bootstrap", folder, config, vec![])?;
        said("broker-bootstrap", Process::start(bootstrap)?.finish()).await?;
        Ok(stack)
    }

    async fn start_nats(&mut self, folder: &Folder) -> Result<(), Failure> {
        let Blueprint { ports, nats_server, .. } = &self.blueprint;
        let config = folder.path().join("config/nats-server.conf");
        std::fs::write(&config, settings::nats(ports, &folder.data("nats")))
            .map_err(io("write nats-server.conf"))?;
        let arguments = vec!["--config".into(), config.into()];
        let (binary, log) = (nats_server.clone(), folder.log("nats-server"));
        let program = Program { name: "nats-server", binary, arguments, log };
        let target = address(ports.nats);
        let ready = || async {
            let connected = tokio::net::TcpStream::connect(&target).await;
            connected.map(drop).map_err(|error| format!("{target} does not answer ({error})"))
        };
        let mut process = Process::start(program)?;
        said("nats-server", process.wait_ready(PATIENCE, ready)).await?;
        self.processes.push(process);
        Ok(())
    }

    async fn start_engines(&mut self, folder: &Folder) -> Result<(), Failure> {
        let ports = self.blueprint.ports;
        for (name, port, admin) in [
            ("clickhouse-hot", ports.clickhouse_hot, ports.clickhouse_hot_admin),
            ("clickhouse-cold", ports.clickhouse_cold, ports.clickhouse_cold_admin),
        ] {
            let config = settings::clickhouse(
                port,
                admin,
                &folder.data(name),
                &self.blueprint.libchdb,
                folder.password(),
            );
            let program = self.program(name, "embedded-clickhouse", folder, config, vec![])?;
            self.start_ready(program, format!("http://{}/ping", address(port))).await?;
        }
        Ok(())
    }

    async fn start_simulator(&mut self, folder: &Folder, arguments: Vec<OsString>) -> Result<(), Failure> {
        let config = settings::simulator(&self.blueprint.ports, &folder.ledger());
        let program = self.program("exchange-simulator", "exchange-simulator", folder, config, arguments)?;
        let url = format!("{}/control/status", self.simulator_url());
        self.start_ready(program, url).await
    }

    /// All that the simulator offers.
    pub async fn subscription(&self) -> Result<Subscription, Failure> {
        let status = self.http.get_json(&format!("{}/control/status", self.simulator_url())).await?;
        let instruments = status.get("instruments").and_then(Value::as_array);
        let mut markets: BTreeMap<Market, Vec<String>> = BTreeMap::new();
        for instrument in instruments.into_iter().flatten() {
            let text = |field| instrument.get(field).and_then(Value::as_str).unwrap_or_default();
            if let Some(market) = Market::of(text("exchange"), text("market_type")) {
                markets.entry(market).or_default().push(text("symbol").to_owned());
            }
        }
        for symbols in markets.values_mut() {
            // A spot pair and its contract have one name.
            symbols.sort_unstable();
            symbols.dedup();
        }
        Ok(Subscription { markets, trade_stream: None })
    }

    /// Starts the three services of the pipeline itself; books are published at this interval.
    pub async fn start_services(
        &mut self,
        folder: &Folder,
        subscription: &Subscription,
        interval: Duration,
    ) -> Result<(), Failure> {
        let live = self.blueprint.simulator.is_none();
        let told = |name| self.blueprint.ports_told(name);
        let collector = settings::collector(told("collector"), subscription, live, interval);
        let ports = &self.blueprint.ports;
        let password = folder.password();
        let hot = |name, admin| (name, "hot-storage", settings::hot_storage(told(name), admin, password));
        let cold = |name, admin| (name, "cold-storage", settings::cold_storage(told(name), admin, password));
        let mut services = vec![hot("hot-storage", ports.hot_storage_admin)];
        if self.blueprint.standbys {
            services.push(hot(HOT_STANDBY, ports.hot_standby_admin));
        }
        services.push(cold("cold-storage", ports.cold_storage_admin));
        if self.blueprint.standbys {
            services.push(cold(COLD_STANDBY, ports.cold_standby_admin));
        }
        services.push(("collector", "collector", collector));
        for (name, binary_name, config) in services {
            let program = self.program(name, binary_name, folder, config, vec![])?;
            let url = self.health_url(name);
            self.start_ready(program, url).await?;
        }
        Ok(())
    }

    /// A collector without data yet is alive and says unhealthy, as it should; the storage services are healthy once
    /// they have their tables and consumers.
    pub fn health_url(&self, name: &str) -> String {
        let ports = &self.blueprint.ports;
        let (admin, probe) = match name {
            "collector" => (ports.collector_admin, "live"),
            "hot-storage" => (ports.hot_storage_admin, "health"),
            HOT_STANDBY => (ports.hot_standby_admin, "health"),
            COLD_STANDBY => (ports.cold_standby_admin, "health"),
            _ => (ports.cold_storage_admin, "health"),
        };
        let [health, _] = admin;
        format!("http://{}/{probe}", address(health))
    }

    /// The collector's page about its streams.
    pub fn status_url(&self) -> String {
        let [health, _] = self.blueprint.ports.collector_admin;
        format!("http://{}/status", address(health))
    }

    /// What the collector says of itself, with the reasons for what is not well.
    pub(crate) fn collector_health_url(&self) -> String {
        let [health, _] = self.blueprint.ports.collector_admin;
        format!("http://{}/health", address(health))
    }

    fn program(
        &self,
        name: &'static str,
        binary_name: &str,
        folder: &Folder,
        mut config: Value,
        mut arguments: Vec<OsString>,
    ) -> Result<Program, Failure> {
        if let Some(overrides) = self.blueprint.overrides.get(name) {
            settings::merge(&mut config, overrides);
        }
        let config = folder.config(name, &config)?;
        let mut all: Vec<OsString> = vec!["--config".into(), config.into()];
        all.append(&mut arguments);
        Ok(Program { name, binary: binary(binary_name)?, arguments: all, log: folder.log(name) })
    }

    async fn start_ready(&mut self, program: Program, url: String) -> Result<(), Failure> {
        let name = program.name;
        let mut process = Process::start(program)?;
        let ready = || self.http.answers(&url);
        said(name, process.wait_ready(PATIENCE, ready)).await?;
        self.processes.push(process);
        Ok(())
    }

    /// The process of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn process(&mut self, name: &str) -> Result<&mut Process, Failure> {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.ok_or_else(|| Failure::Usage(format!("{name} does not run")))
    }

    /// Starts a process that was killed again, on the same data.
    ///
    /// # Errors
    /// When there is none of this name, or it does not start.
    pub fn start_again(&mut self, name: &str) -> Result<(), Failure> {
        let process = self.process(name)?;
        *process = Process::start(process.program().clone())?;
        Ok(())
    }

    /// Starts again what has ended, as systemd would; gives up on what ends again and again before [`Stack::calm`].
    ///
    /// # Errors
    /// With the end of the log of what was given up.
    pub fn revive(&mut self) -> Result<Vec<String>, Failure> {
        let mut said = Vec::new();
        for process in &mut self.processes {
            let Some(status) = process.ended() else { continue };
            self.restarts += 1;
            if self.restarts > RESTARTS_MAX {
                return Err(process.failed_with(&status.to_string()));
            }
            said.push(format!("{} ended ({status}); started again", process.name()));
            *process = Process::start(process.program().clone())?;
        }
        Ok(said)
    }

    /// Everything runs as it should: what ended so far is forgiven.
    pub fn calm(&mut self) {
        self.restarts = 0;
    }

    /// SIGTERM, wait, start again.
    pub(crate) async fn restart(&mut self, which: Restartable) -> Result<String, Failure> {
        let name = which.name();
        let Some(at) = self.processes.iter().position(|process| process.name() == name) else {
            return Err(Failure::Usage(format!("{name} does not run")));
        };
        let process = self.processes.remove(at);
        let program = process.program().clone();
        let stopped = process.stop(GRACE).await;
        self.processes.insert(at, Process::start(program)?);
        let how = if stopped.clean { "drained" } else { "did not drain" };
        Ok(format!("{name} restarted by SIGTERM: {how} in {:.1} s", stopped.took.as_secs_f64()))
    }

    /// Stops one process and says how.
    pub async fn stop(&mut self, name: &str) -> Option<Stopped> {
        let at = self.processes.iter().position(|process| process.name() == name)?;
        Some(self.processes.remove(at).stop(GRACE).await)
    }

    /// Stops what is left, last started first.
    pub async fn stop_all(&mut self) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        while let Some(process) = self.processes.pop() {
            stopped.push(process.stop(GRACE).await);
        }
        stopped
    }

    /// Name and process id of everything that runs.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        self.processes.iter().filter_map(|process| Some((process.name(), process.pid()?))).collect()
    }

    /// Base of the simulator.
    pub fn simulator_url(&self) -> String {
        format!("http://{}", address(self.blueprint.ports.simulator))
    }

    /// Base of nats-server's monitoring.
    pub fn nats_monitor_url(&self) -> String {
        format!("http://{}", address(self.blueprint.ports.nats_monitor))
    }

    /// Base of the hot tier.
    pub fn hot_url(&self) -> String {
        format!("http://{}", address(self.blueprint.ports.clickhouse_hot))
    }

    /// Base of the cold tier.
    pub fn cold_url(&self) -> String {
        format!("http://{}", address(self.blueprint.ports.clickhouse_cold))
    }
}

impl Restartable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::HotStorage => "hot-storage",
            Self::ColdStorage => "cold-storage",
        }
    }
}

/// A binary of the workspace, which lies beside this one; a test lies in a folder below.
pub(crate) fn binary(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(io("find the own binary"))?;
    let folders = own.ancestors().skip(1);
    let folder = folders.into_iter().find(|folder| !folder.ends_with("deps"));
    Ok(folder.unwrap_or(&own).join(format!("marketprism-{name}")))
}

/// Says what is waited for, and how long it took.
async fn said<T>(name: &str, wait: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let began = Instant::now();
    let done = wait.await?;
    eprintln!("  {name:<20} ready in {:.2} s", began.elapsed().as_secs_f64());
    Ok(done)
}
