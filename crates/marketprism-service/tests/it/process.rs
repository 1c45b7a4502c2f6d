//! Runs `examples/tiny.rs` as a process of its own and reads what it says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Far more than anything here takes; only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(120);

fn executable() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples/tiny");
    assert!(path.exists(), "{} is missing: cargo build -p marketprism-service --examples", path.display());
    path
}

/// A command without this process's environment: nothing but the test decides the configuration.
pub(crate) fn tiny(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(executable());
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn output(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output: Output = tiny(arguments, environment).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A running tiny service; killed when dropped.
pub(crate) struct Tiny {
    child: Child,
    folder: TempDir,
}

impl Tiny {
    /// Starts it on free ports and waits until it serves.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut tiny = Self::spawn(arguments, environment);
        poll("the addresses file", || {
            assert!(tiny.child.try_wait().unwrap().is_none(), "it ended: {}", tiny.log());
            tiny.folder.path().join("addresses").exists()
        });
        tiny
    }

    /// Starts it on free ports; it may already have ended.
    pub(crate) fn spawn(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let ledger = folder.path().join("ledger");
        // Before the arguments of the test, which may end in a subcommand.
        let child = tiny(&["--ledger", ledger.to_str().unwrap()], environment)
            .args(arguments)
            .env("MARKETPRISM__ADMIN__ADDRESSES_FILE", folder.path().join("addresses"))
            .envs([
                ("HEALTH_CHECK_PORT", "0"),
                ("METRICS_PORT", "0"),
                ("MARKETPRISM__LOGGING__FORMAT", "json"),
            ])
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        poll("its end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        poll(text, || self.log().contains(text));
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn ledger(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("ledger")).ok()
    }

    /// Address of the `health` or `metrics` server.
    pub(crate) fn address(&self, server: &str) -> String {
        let addresses = std::fs::read_to_string(self.folder.path().join("addresses")).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        addresses[server].as_str().unwrap().to_owned()
    }

    /// `GET path` of the `health` or `metrics` server: status line and body.
    pub(crate) fn get(&self, server: &str, path: &str) -> (String, String) {
        self.ask(server, path, &format!("Host: {}\r\n", self.address(server)))
    }

    /// The same with these headers, each with its end of line, and no others.
    pub(crate) fn ask(&self, server: &str, path: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address(server)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// Waits until its `start` is through.
    pub(crate) fn wait_until_healthy(&self) {
        poll("a healthy answer", || self.get("health", "/health").0.contains("200"));
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for `condition`, looking again every few milliseconds.
pub(crate) fn poll(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
