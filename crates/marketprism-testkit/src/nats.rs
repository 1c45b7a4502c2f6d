//! A real nats-server with JetStream on a free loopback port, which can be stopped, killed and started again with
//! the same port and files. Its log is printed when the test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A loaded 2-core machine starts it in well under a second; this only bounds a server that never comes up.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// A server with a large store flushes it before it leaves.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A running nats-server. Dropping it stops it.
#[derive(Debug)]
pub struct NatsServer {
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    extra: String,
    port: u16,
    child: Option<Child>,
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
        let mut server = Self { dir, _temporary: temporary, extra: extra.to_owned(), port: 0, child: None };
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
        self.child.as_ref().map(Child::id)
    }

    /// Ends it with SIGTERM, as an operator would, and waits for it.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Ends it with SIGKILL, as the kernel would, and waits for it.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Starts it again, after [`NatsServer::stop`] or [`NatsServer::kill`], on the same port and files.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "nats-server is still running: stop or kill it first");
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
        let log =
            fs::File::options().create(true).append(true).open(self.log_path()).expect("the server's log");
        let child = Command::new(nats_server_executable())
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the server's log"))
            .stderr(log)
            .spawn()
            .expect("nats-server starts");
        let ports_file = ports.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        let deadline = Instant::now() + START_DEADLINE;
        self.port = loop {
            if let Some(port) = fs::read_to_string(&ports_file).ok().and_then(|text| port_of(&text)) {
                break port;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nats-server did not come up ({ended:?}); its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("nats-server.log")
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        kill(pid, signal).expect("our own child can be signalled");
        let deadline = Instant::now() + STOP_DEADLINE;
        while child.try_wait().expect("our own child can be waited for").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("our own child can be killed");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of nats-server at {}:\n{}", self.url(), self.log());
        }
        self.kill();
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
    let provisioned = || {
        let cache = std::env::var_os("MARKETPRISM_CACHE").map(PathBuf::from).or_else(|| {
            let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
            std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(home)
                .map(|dir| dir.join("marketprism"))
        });
        cache.unwrap_or_default().join("nats-server-2.15.1/nats-server")
    };
    let path = std::env::var_os("MARKETPRISM_NATS_SERVER").map_or_else(provisioned, PathBuf::from);
    assert!(path.is_file(), "no nats-server at {}: run scripts/provision.sh", path.display());
    path
}
