//! One child process: started with its log in a file, stopped by its process id, never by name.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::failure::{Failure, io};

/// Lines of a log shown with a failure.
const TAIL_LINES: usize = 15;
/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(50);

/// What to start.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called in what is said.
    pub name: &'static str,
    /// The file that is run.
    pub binary: PathBuf,
    /// Its command line.
    pub arguments: Vec<OsString>,
    /// Its output is appended here.
    pub log: PathBuf,
}

/// A running child. Dropped without [`Process::stop`], it is killed.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
}

impl Process {
    /// Starts the program in a process group of its own, so that Ctrl-C reaches only the demo, which stops all in order.
    pub fn start(program: Program) -> Result<Self, Failure> {
        if !program.binary.exists() {
            let hint = "run it through scripts/demo.sh, which builds and fetches what is needed";
            return Err(Failure::Missing { program: program.binary.display().to_string(), hint });
        }
        let log = OpenOptions::new().create(true).append(true).open(&program.log);
        let log = log.map_err(io(format!("open {}", program.log.display())))?;
        let errors = log.try_clone().map_err(io("share the log file"))?;
        let child = Command::new(&program.binary)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(format!("start {}", program.binary.display())))?;
        Ok(Self { program, child })
    }

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        self.program.name
    }

    /// `None` once it ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it was started as.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until `ready` says so, or the process ends, or time is up.
    pub async fn wait_ready<F: Future<Output = Result<(), String>>>(
        &mut self,
        patience: Duration,
        ready: impl Fn() -> F,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return Err(self.failed_with(&status.to_string()));
            }
            let reason = match ready().await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if Instant::now() >= deadline {
                let (log, tail) = (self.program.log.display().to_string(), tail(&self.program.log));
                let name = self.name().to_owned();
                return Err(Failure::NotReady { name, seconds: patience.as_secs(), reason, log, tail });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits for it to end by itself.
    pub async fn finish(mut self) -> Result<(), Failure> {
        let status = self.child.wait().await.map_err(io(format!("wait for {}", self.name())))?;
        if status.success() { Ok(()) } else { Err(self.failed_with(&status.to_string())) }
    }

    /// SIGTERM, then SIGKILL after `grace`. Says how long it took and whether it was clean.
    pub async fn stop(mut self, grace: Duration) -> Stopped {
        let began = Instant::now();
        self.signal(Signal::SIGTERM);
        let clean = match tokio::time::timeout(grace, self.child.wait()).await {
            Ok(Ok(status)) => status.success(),
            Ok(Err(_)) => false,
            Err(_) => {
                self.signal(Signal::SIGKILL);
                // Cannot be refused; the wait only collects the exit status.
                self.child.wait().await.is_err_and(|_| false)
            }
        };
        Stopped { name: self.name(), clean, took: began.elapsed() }
    }

    /// An error with the end of the log.
    pub fn failed_with(&self, status: &str) -> Failure {
        let (log, tail) = (self.program.log.display().to_string(), tail(&self.program.log));
        Failure::Ended { name: self.name().to_owned(), status: status.to_owned(), log, tail }
    }

    /// SIGKILL: no last word, nothing is flushed.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(io(format!("kill {}", self.name())))
    }

    /// SIGSTOP: it keeps its sockets and does nothing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid
            && let Err(error) = kill(Pid::from_raw(pid), signal)
        {
            eprintln!("{}: {signal} failed: {error}", self.name());
        }
    }
}

/// How a process stopped.
#[derive(Debug, Clone, Copy)]
pub struct Stopped {
    /// Which process.
    pub name: &'static str,
    /// Ended by itself with code 0 within its grace.
    pub clean: bool,
    /// From SIGTERM to its end.
    pub took: Duration,
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}
