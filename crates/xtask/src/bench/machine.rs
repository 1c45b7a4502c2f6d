//! The machine of a run: figures mean nothing without it.

use std::fmt;

use serde::Serialize;

use crate::workspace;

/// Processors, and how busy they were with others before the run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    model: String,
    /// Load averages over 1, 5 and 15 minutes, as the kernel says them.
    load_before: String,
    commit: String,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            model: model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned()),
            load_before: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
            commit: workspace::output_of("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, model, load_before, commit } = self;
        write!(f, "{cores} cores of {model}, load before {load_before}, commit {commit}")
    }
}
