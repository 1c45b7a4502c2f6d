//! Runs the demo's own binary in a folder of its own, on free ports.

use std::path::Path;
use std::process::{Command, Output};

use marketprism_testkit::{binary, libchdb, nats_server_executable};
use serde_json::Value;

/// What a run printed, and its result.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    /// The last line of standard output.
    pub(crate) result: Value,
}

impl Run {
    /// A count of one data type.
    pub(crate) fn count(&self, data_type: &str, field: &str) -> u64 {
        self.result["data_types"][data_type][field]
            .as_u64()
            .unwrap_or_else(|| panic!("{data_type}.{field}: {}", self.text))
    }

    /// Every message exactly once in both tiers, and unchanged.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.code, Some(0), "{}", self.text);
        for data_type in ["trade", "orderbook"] {
            let sent = self.count(data_type, "sent");
            assert!(sent > 0, "{}", self.text);
            assert_eq!(self.count(data_type, "hot"), sent, "{}", self.text);
            assert_eq!(self.count(data_type, "cold"), sent, "{}", self.text);
            for field in ["lost", "duplicated", "different", "unexpected"] {
                assert_eq!(self.count(data_type, field), 0, "{data_type}.{field}: {}", self.text);
            }
        }
    }
}

pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("marketprism-demo"));
    command.args(arguments).arg("--folder").arg(folder);
    command.env("MARKETPRISM_NATS_SERVER", nats_server_executable()).env("LIBCHDB", libchdb());
    command
}

pub(crate) fn demo(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), arguments);
    let Output { status, stdout, stderr } = command.args(["--ports", "free", "--json"]).output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let result = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let mut text = String::from_utf8_lossy(&stderr).into_owned() + &stdout;
    if status.code() != Some(0) {
        for name in ["collector", "hot-storage", "cold-storage"] {
            let log = std::fs::read_to_string(folder.path().join("logs").join(name).with_extension("log"));
            let log = log.unwrap_or_default();
            let bad: Vec<_> =
                log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
            text.push_str(&format!("\n--- {name}\n{}", bad.join("\n")));
        }
    }
    Run { code: status.code(), text, result }
}
