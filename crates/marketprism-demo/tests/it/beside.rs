//! What a user finds beside the live table: the web console, and a query of the engines.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use marketprism_testkit::poll_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::runs::command;

const DEADLINE: Duration = Duration::from_secs(60);

/// A demo that runs until it is stopped. Dropped, it is stopped too, so that it does not outlive a test that fails.
struct Running {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    folder: TempDir,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path(), arguments);
        let mut child = command.args(["--ports", "free"]).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said, folder }
    }

    /// The next line that begins with `word`.
    fn line(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        let mut lines = self.said.by_ref().map_while(Result::ok);
        lines.find(|line| is_wanted(line)).expect("the demo ended before it said so")
    }

    /// The process id of the monitoring service: what runs with its configuration of this folder.
    fn monitoring(&self) -> Pid {
        let config = self.folder.path().join("config/monitoring.yaml");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let found = processes.into_iter().find_map(|process| {
            let pid = process.file_name().to_string_lossy().parse().ok()?;
            let command = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
            command.contains(config.to_str().unwrap()).then_some(Pid::from_raw(pid))
        });
        found.expect("the monitoring service runs")
    }

    /// Ctrl-C, and the exit code.
    fn stop(mut self) -> Option<i32> {
        kill(self.pid(), Signal::SIGINT).unwrap();
        self.said.by_ref().for_each(drop);
        self.child.wait().unwrap().code()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill(self.pid(), Signal::SIGTERM).unwrap();
            self.said.by_ref().for_each(drop);
            self.child.wait().unwrap();
        }
    }
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_console_and_the_query_line_work_and_the_consoles_death_is_only_news() {
    let mut demo = Running::start(&["--rate", "200", "--markets", "binance_spot", "okx_swap"]);
    let console = demo.line(|line| line.starts_with("console "));
    let url = console.trim_start_matches("console").trim();
    let page = shell(&format!("curl -s {url}/"));
    assert!(page.contains("<title>MarketPrism</title>"), "{page}");
    let health = shell(&format!("curl -s {url}/api/v1/health/components"));
    assert!(!health.contains("prometheus") && !health.contains("alertmanager"), "{health}");

    let first = demo.line(|line| line.starts_with("query "));
    let second = demo.line(|line| line.starts_with(' '));
    let query = format!("{}\n{second}", first.trim_start_matches("query"));
    poll_until(DEADLINE, "the printed query counts trades", async || {
        shell(&query).trim().parse::<u64>().is_ok_and(|trades| trades > 0)
    })
    .await;
    let refused = shell(&query.replace("$(cat ", "$(echo "));
    assert!(refused.contains("AUTHENTICATION_FAILED"), "{refused}");
    // The console reads both tiers with its own configuration.
    poll_until(DEADLINE, "the console sees both tiers", async || {
        shell(&format!("curl -s {url}/api/v1/health/components")).contains("6 of 6 components are healthy")
    })
    .await;

    kill(demo.monitoring(), Signal::SIGKILL).unwrap();
    let news = demo.line(|line| line.contains("the web console is gone"));
    assert!(news.contains("monitoring ended (signal: 9"), "{news}");
    assert_eq!(demo.stop(), Some(0), "the pipeline's result is its own");
}

#[test]
fn without_a_console_none_is_started() {
    let mut demo = Running::start(&["--no-console"]);
    demo.line(|line| {
        assert!(!line.starts_with("console "), "{line}");
        line.starts_with("query ")
    });
    assert!(!demo.folder.path().join("config/monitoring.yaml").exists());
}
