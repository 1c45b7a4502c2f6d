//! Real Prometheus, Alertmanager and blackbox exporter on free loopback ports, each with a folder of its own, which can be
//! stopped, killed and started again with the same port and files. A log is printed when the test fails.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::poll::DEADLINE;
use crate::ports::free_port;
use crate::process::Process;
use crate::tools::{MONITORING, distributed};

const POLL: Duration = Duration::from_millis(20);

/// One running server. Dropping it stops it.
#[derive(Debug)]
pub struct MonitoringServer {
    name: &'static str,
    executable: PathBuf,
    arguments: Vec<OsString>,
    ready_path: &'static str,
    /// `127.0.0.1:port`
    address: String,
    /// First of the two, so that it has ended, and its log was printed, before its folder goes.
    process: Option<Process>,
    dir: tempfile::TempDir,
}

impl MonitoringServer {
    /// Prometheus with this configuration file; the paths in it are relative to its folder.
    #[must_use]
    pub fn prometheus(config: &Path) -> Self {
        let executable = distributed("MARKETPRISM_PROMETHEUS", MONITORING, &["prometheus"]);
        Self::start("prometheus", executable, "/-/ready", config, |dir, listen| {
            vec![
                flag("--storage.tsdb.path=", dir.join("data")),
                flag("--web.listen-address=", listen),
                // What fires before Alertmanager is discovered, which takes it 5 s, is not sent; by default again only after a minute.
                "--rules.alert.resend-delay=1s".into(),
            ]
        })
    }

    /// Alertmanager with this configuration file, alone in its cluster.
    #[must_use]
    pub fn alertmanager(config: &Path) -> Self {
        let executable =
            distributed("MARKETPRISM_ALERTMANAGER", MONITORING, &["prometheus-alertmanager", "alertmanager"]);
        Self::start("alertmanager", executable, "/-/ready", config, |dir, listen| {
            vec![
                flag("--storage.path=", dir.join("data")),
                "--cluster.listen-address=".into(),
                flag("--web.listen-address=", listen),
            ]
        })
    }

    /// The blackbox exporter with this configuration file.
    #[must_use]
    pub fn blackbox_exporter(config: &Path) -> Self {
        let names = ["prometheus-blackbox-exporter", "blackbox_exporter"];
        let executable = distributed("MARKETPRISM_BLACKBOX_EXPORTER", MONITORING, &names);
        Self::start("blackbox-exporter", executable, "/-/healthy", config, |_, listen| {
            vec![flag("--web.listen-address=", listen)]
        })
    }

    fn start(
        name: &'static str,
        executable: PathBuf,
        ready_path: &'static str,
        config: &Path,
        own: impl FnOnce(&Path, &str) -> Vec<OsString>,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        let mut arguments = own(dir.path(), &address);
        arguments.push(flag("--config.file=", config));
        let mut server = Self { name, executable, arguments, ready_path, address, process: None, dir };
        server.restart();
        server
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Host and port of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process, while it runs.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("{} is stopped", self.name))
    }

    /// Ends it with SIGTERM, as an operator would, and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Ends it with SIGKILL, as the kernel would, and waits for it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it again, after [`MonitoringServer::stop`] or [`MonitoringServer::kill`], on the same port and files.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "{} is still running: stop or kill it first", self.name);
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments).current_dir(self.dir.path());
        let mut process = Process::spawn(self.name, command, &self.log_path());
        let end = Instant::now() + DEADLINE;
        while !self.answers() {
            let ended = process.ended();
            assert!(
                ended.is_none() && Instant::now() < end,
                "{} did not come up ({ended:?}); its log:\n{}",
                self.name,
                process.log()
            );
            std::thread::sleep(POLL);
        }
        self.process = Some(process);
    }

    /// Whether it serves: it answers before it has read what it stored, but not with 200.
    fn answers(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(format!("GET {} HTTP/1.0\r\n\r\n", self.ready_path).as_bytes())?;
            let mut status = String::new();
            BufReader::new(stream).read_line(&mut status)?;
            Ok::<_, std::io::Error>(status)
        };
        ask().is_ok_and(|status| status.contains(" 200 "))
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// `--name=value`, the form that all three understand.
fn flag(name: &str, value: impl Into<OsString>) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(value.into());
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_starts_and_comes_back_on_its_port() {
        let dir = tempfile::tempdir().unwrap();
        let config = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let prometheus = config("prometheus.yml", "scrape_configs: []\n");
        let alertmanager =
            config("alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
        let blackbox = config("blackbox.yml", "modules: {http: {prober: http}}\n");
        for mut server in [
            MonitoringServer::prometheus(&prometheus),
            MonitoringServer::alertmanager(&alertmanager),
            MonitoringServer::blackbox_exporter(&blackbox),
        ] {
            let url = server.url();
            server.kill();
            assert!(!server.answers());
            server.restart();
            assert_eq!(server.url(), url);
            server.stop();
        }
    }
}
