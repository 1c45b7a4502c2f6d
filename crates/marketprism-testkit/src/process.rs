//! A child process that does not outlive its test: SIGTERM then SIGKILL, by process id; its log is printed when the test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::poll::DEADLINE;

const POLL: Duration = Duration::from_millis(5);

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` with its output appended to the file `log`.
    #[must_use]
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Self {
        let file = fs::File::options().create(true).append(true).open(log).expect("the process's log");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the process's log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), log: log.to_owned(), child }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Sends SIGTERM and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends SIGHUP, as an operator who changed the configuration does.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Freezes it with SIGSTOP: it does nothing, and its connections stay.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on with SIGCONT, after [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits for its end; it is killed, and the test fails, when that takes longer than any grace period.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("{} was still alive after {DEADLINE:?}; its log:\n{}", self.name, self.log());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends it with SIGTERM, as an operator would.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// Ends it with SIGKILL, as the kernel would.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("our own child can be killed");
            self.child.wait().expect("our own child can be waited for");
        }
    }

    /// Waits until the file appears that the process writes once it serves, and returns its text.
    pub fn wait_for_file(&mut self, file: &Path, deadline: Duration) -> String {
        let end = Instant::now() + deadline;
        loop {
            if let Ok(text) = fs::read_to_string(file)
                && !text.is_empty()
            {
                return text;
            }
            let ended = self.ended();
            assert!(
                ended.is_none() && Instant::now() < end,
                "{} did not come up ({ended:?}); its log:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Everything it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        // One that has just ended needs no signal: it is a zombie until it is waited for, so the id is still its own.
        if let Err(error) = kill(pid, signal) {
            eprintln!("failed to signal {}: {error}", self.name);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log());
        }
        if self.ended().is_none() {
            self.terminate();
            let deadline = Instant::now() + Duration::from_secs(5);
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
            self.kill();
        }
    }
}
