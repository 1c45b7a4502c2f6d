//! The processes of the pipeline: started in order, restarted when one ends, stopped in the order in which data flows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::failure::{Failure, io};
use crate::folder::Folder;
use crate::http::Http;
use crate::options::{Options, Restartable};
use crate::ports::Ports;
use crate::process::{Process, Program, Stopped};
use crate::settings::{self, Subscription, address};

/// How long a server may take to answer; the engine's first start on a cold disk is the slowest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a service may take to drain; above its own grace of 20 s.
const GRACE: Duration = Duration::from_secs(30);
/// A service that ends this often by itself is not restarted again.
const RESTARTS_MAX: u32 = 5;

pub(crate) const NATS_VERSION_FOLDER: &str = "nats-server-2.15.1";
pub(crate) const ENGINE_VERSION_FOLDER: &str = "libchdb-26.7.3-stable.1";

/// The running pipeline.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) ports: Ports,
    http: Http,
    /// In the order in which they were started.
    processes: Vec<Process>,
    restarts: u32,
}

impl Stack {
    /// Starts broker, both tiers and the simulator, and creates the streams.
    pub(crate) async fn start(options: &Options, folder: &Folder, http: &Http) -> Result<Self, Failure> {
        let ports = Ports::choose(options.ports)?;
        let mut stack = Self { ports, http: http.clone(), processes: Vec::new(), restarts: 0 };
        let cache = options.cache_folder();
        stack.start_nats(options, folder, &cache).await?;
        stack.start_engines(options, folder, &cache).await?;
        if !options.live {
            stack.start_simulator(options, folder).await?;
        }
        let bootstrap =
            stack.service(folder, "broker-bootstrap", &settings::broker_bootstrap(&ports), vec![])?;
        said("broker-bootstrap", Process::start(bootstrap)?.finish()).await?;
        Ok(stack)
    }

    async fn start_nats(&mut self, options: &Options, folder: &Folder, cache: &Path) -> Result<(), Failure> {
        let binary = options.nats_server.clone();
        let binary = binary.unwrap_or_else(|| cache.join(NATS_VERSION_FOLDER).join("nats-server"));
        let config = folder.path().join("config/nats-server.conf");
        std::fs::write(&config, settings::nats(&self.ports, &folder.data("nats")))
            .map_err(io("write nats-server.conf"))?;
        let arguments = vec!["--config".into(), config.into()];
        let program = Program { name: "nats-server", binary, arguments, log: folder.log("nats-server") };
        let target = address(self.ports.nats);
        let ready = || async {
            let connected = tokio::net::TcpStream::connect(&target).await;
            connected.map(drop).map_err(|error| format!("{target} does not answer ({error})"))
        };
        let mut process = Process::start(program)?;
        said("nats-server", process.wait_ready(PATIENCE, ready)).await?;
        self.processes.push(process);
        Ok(())
    }

    async fn start_engines(
        &mut self,
        options: &Options,
        folder: &Folder,
        cache: &Path,
    ) -> Result<(), Failure> {
        let library = options.libchdb.clone();
        let library = library.unwrap_or_else(|| cache.join(ENGINE_VERSION_FOLDER).join("libchdb.so"));
        for (name, port, admin) in [
            ("clickhouse-hot", self.ports.clickhouse_hot, self.ports.clickhouse_hot_admin),
            ("clickhouse-cold", self.ports.clickhouse_cold, self.ports.clickhouse_cold_admin),
        ] {
            let config = settings::clickhouse(port, admin, &folder.data(name), &library);
            let mut program = self.service(folder, "embedded-clickhouse", &config, vec![])?;
            program.name = name;
            program.log = folder.log(name);
            self.start_ready(program, format!("http://{}/ping", address(port))).await?;
        }
        Ok(())
    }

    async fn start_simulator(&mut self, options: &Options, folder: &Folder) -> Result<(), Failure> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let (Some(nature), Some(format)) = (options.nature()?, options.format) {
            arguments.push("--replay".into());
            arguments.extend(options.replay.iter().map(Into::into));
            for (flag, value) in [
                ("--format", format.word()),
                ("--market", nature.market.capture_word()?),
                ("--speed", &options.speed),
            ] {
                arguments.extend([flag.into(), value.into()]);
            }
        } else {
            for (flag, value) in [
                ("--seed", options.seed.to_string()),
                ("--rate", options.rate.to_string()),
                ("--symbols", options.symbols.to_string()),
                (
                    "--markets",
                    options.markets.iter().map(|market| market.word()).collect::<Vec<_>>().join(","),
                ),
            ] {
                arguments.extend([flag.into(), value.into()]);
            }
        }
        let config = settings::simulator(&self.ports, &folder.ledger());
        let program = self.service(folder, "exchange-simulator", &config, arguments)?;
        let url = format!("{}/control/status", self.simulator_url());
        self.start_ready(program, url).await
    }

    /// Starts the three services of the pipeline itself.
    pub(crate) async fn start_services(
        &mut self,
        options: &Options,
        folder: &Folder,
        subscription: &Subscription,
    ) -> Result<(), Failure> {
        let interval = options.book_publish_interval();
        for (name, config, admin) in [
            ("hot-storage", settings::hot_storage(&self.ports), self.ports.hot_storage_admin),
            ("cold-storage", settings::cold_storage(&self.ports), self.ports.cold_storage_admin),
            (
                "collector",
                settings::collector(&self.ports, subscription, options.live, interval),
                self.ports.collector_admin,
            ),
        ] {
            let program = self.service(folder, name, &config, vec![])?;
            let [health, _] = admin;
            // A collector without data yet is alive and says unhealthy, as it should; the storage services are healthy once
            // they have their tables and consumers.
            let probe = if name == "collector" { "live" } else { "health" };
            self.start_ready(program, format!("http://{}/{probe}", address(health))).await?;
        }
        Ok(())
    }

    fn service(
        &self,
        folder: &Folder,
        name: &'static str,
        config: &Value,
        mut arguments: Vec<OsString>,
    ) -> Result<Program, Failure> {
        let log_name = if config.get("path").is_some() { "engine" } else { name };
        let config_name =
            if log_name == "engine" { format!("{name}-{}", self.processes.len()) } else { name.to_owned() };
        let config = folder.config(&config_name, config)?;
        let mut all: Vec<OsString> = vec!["--config".into(), config.into()];
        all.append(&mut arguments);
        Ok(Program { name, binary: binary(name)?, arguments: all, log: folder.log(name) })
    }

    async fn start_ready(&mut self, program: Program, url: String) -> Result<(), Failure> {
        let name = program.name;
        let mut process = Process::start(program)?;
        let ready = || self.http.answers(&url);
        said(name, process.wait_ready(PATIENCE, ready)).await?;
        self.processes.push(process);
        Ok(())
    }

    /// Starts again what has ended, as systemd would; gives up on what ends again and again.
    pub(crate) fn revive(&mut self) -> Result<Vec<String>, Failure> {
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
    pub(crate) async fn stop(&mut self, name: &str) -> Option<Stopped> {
        let at = self.processes.iter().position(|process| process.name() == name)?;
        Some(self.processes.remove(at).stop(GRACE).await)
    }

    /// Stops what is left, last started first.
    pub(crate) async fn stop_all(&mut self) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        while let Some(process) = self.processes.pop() {
            stopped.push(process.stop(GRACE).await);
        }
        stopped
    }

    /// Name and process id of everything that runs.
    pub(crate) fn pids(&self) -> Vec<(&'static str, u32)> {
        self.processes.iter().filter_map(|process| Some((process.name(), process.pid()?))).collect()
    }

    pub(crate) fn simulator_url(&self) -> String {
        format!("http://{}", address(self.ports.simulator))
    }

    pub(crate) fn nats_monitor_url(&self) -> String {
        format!("http://{}", address(self.ports.nats_monitor))
    }

    pub(crate) fn hot_url(&self) -> String {
        format!("http://{}", address(self.ports.clickhouse_hot))
    }

    pub(crate) fn cold_url(&self) -> String {
        format!("http://{}", address(self.ports.clickhouse_cold))
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

/// A binary of the workspace, which lies beside this one.
fn binary(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(io("find the own binary"))?;
    Ok(own.with_file_name(format!("marketprism-{name}")))
}

/// Says what is waited for, and how long it took.
async fn said<T>(name: &str, wait: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let began = Instant::now();
    let done = wait.await?;
    eprintln!("  {name:<20} ready in {:.2} s", began.elapsed().as_secs_f64());
    Ok(done)
}
