//! A real nats-server with JetStream on a free loopback port, which can be stopped, killed and started again with
//! the same port and files. Its log is printed when the test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::poll::DEADLINE;
use crate::process::Process;
use crate::tools::provisioned;

/// A running nats-server. Dropping it stops it.
#[derive(Debug)]
pub struct NatsServer {
    /// First, so that it has ended, and its log was printed, before its folder goes.
    process: Option<Process>,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    extra: String,
    port: u16,
}

impl NatsServer {
    /// Starts a server on a temporary directory.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server on a temporary directory, with further lines of nats-server configuration
    /// (`max_payload: 64K`).
    #[must_use]
    pub fn start_with(extra: &str) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().to_owned();
        Self::launch(dir, Some(temporary), extra)
    }

    /// Starts a server whose files are in `dir` and stay there.
    #[must_use]
    pub fn start_in(dir: &Path) -> Self {
        Self::launch(dir.to_owned(), None, "")
    }

    fn launch(dir: PathBuf, temporary: Option<tempfile::TempDir>, extra: &str) -> Self {
        let mut server = Self { dir, _temporary: temporary, extra: extra.to_owned(), port: 0, process: None };
        server.restart();
        server
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
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

    /// Starts it again, after [`NatsServer::stop`] or [`NatsServer::kill`], on the same port and files.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "nats-server is still running: stop or kill it first");
        let ports = self.dir.join("ports");
        fs::create_dir_all(&ports).expect("the server's directory");
        let config = self.dir.join("nats-server.conf");
        // max_file: the broker adds up the streams' max_bytes against it and reserves nothing.
        // -1: a port of the server's choice, which it writes to ports_file_dir; the same one ever after.
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let (store, extra) = (self.dir.join("jetstream"), &self.extra);
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: {ports:?}\n\
             jetstream {{ store_dir: {store:?}, max_mem: 64M, max_file: 256G, sync_interval: \"1s\" }}\n{extra}\n"
        );
        fs::write(&config, text).expect("the server's configuration");
        let mut command = Command::new(nats_server_executable());
        command.arg("-c").arg(&config);
        let mut process = Process::spawn("nats-server", command, &self.log_path());
        let ports_file = ports.join(format!("nats-server_{}.ports", process.pid()));
        let written = process.wait_for_file(&ports_file, DEADLINE);
        self.port = port_of(&written).expect("the port in the server's ports file");
        self.process = Some(process);
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("nats-server.log")
    }
}

/// `{"nats":["nats://127.0.0.1:38143"], …}`
fn port_of(text: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(text).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}

/// The provisioned server's binary; a test without it fails with the command that fetches it.
#[must_use]
pub fn nats_server_executable() -> PathBuf {
    provisioned("MARKETPRISM_NATS_SERVER", "nats-server-2.15.1/nats-server")
}
