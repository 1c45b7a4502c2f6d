//! Where tests find what they do not build themselves: programs of the workspace, provisioned servers, captures.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the cache folder holds Prometheus and its kin.
pub(crate) const MONITORING: &str = "debian/monitoring";

/// A program of the workspace, in the folder the test itself was built into; without it the test fails with the command
/// that builds it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    // target/<profile>/deps/<test>, or target/<profile>/examples/<example>
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("the profile's folder");
    let path = profile.join(name);
    assert!(path.is_file(), "no {name} in {}: run cargo build -p {name}", profile.display());
    path
}

/// The ClickHouse engine; a test without it fails with the command that fetches it.
#[must_use]
pub fn libchdb() -> PathBuf {
    provisioned("LIBCHDB", "libchdb-26.7.3-stable.1/libchdb.so")
}

/// A file that `scripts/provision.sh` fetches, or the one that `variable` names.
pub(crate) fn provisioned(variable: &str, file: &str) -> PathBuf {
    let path = folder(variable).unwrap_or_else(|| cache().join(file));
    assert!(path.is_file(), "no {}: run scripts/provision.sh", path.display());
    path
}

/// A program of the distribution: the one that `variable` names, else the first of `names` on the PATH, else the one that
/// `scripts/provision.sh` fetches.
///
/// `tree` is the folder of the cache that its package is unpacked into.
pub(crate) fn distributed(variable: &str, tree: &str, names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = || {
        let candidates =
            names.iter().flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)));
        candidates.into_iter().find(|candidate| candidate.is_file())
    };
    let fetched =
        || names.iter().map(|name| cache().join(tree).join("usr/bin").join(name)).find(|path| path.is_file());
    let found = folder(variable).or_else(installed).or_else(fetched);
    found.unwrap_or_else(|| panic!("no {}: run scripts/provision.sh all", names.join(", ")))
}

/// The Chromium that pages are tested in; a test without it fails with the command that fetches it.
#[must_use]
pub fn chromium() -> PathBuf {
    distributed("MARKETPRISM_CHROMIUM", "debian/browser", &["chromium", "chromium-browser", "google-chrome"])
}

/// Prometheus' tool that checks and tests rules.
#[must_use]
pub fn promtool() -> Command {
    Command::new(distributed("MARKETPRISM_PROMTOOL", MONITORING, &["promtool"]))
}

/// Alertmanager's tool that checks its configuration and routes.
#[must_use]
pub fn amtool() -> Command {
    Command::new(distributed("MARKETPRISM_AMTOOL", MONITORING, &["amtool"]))
}

/// The cache folder of `scripts/provision.sh`.
fn cache() -> PathBuf {
    folder("MARKETPRISM_CACHE").unwrap_or_else(|| {
        let home = || folder("HOME").unwrap_or_default().join(".cache");
        folder("XDG_CACHE_HOME").unwrap_or_else(home).join("marketprism")
    })
}

fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Raw exchange traffic recorded by others, where it is there: `MARKETPRISM_CAPTURES`, else beside the workspace. Without
/// it a test prints `skipped: …`.
#[must_use]
pub fn captures_dir() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let folder = std::env::var_os("MARKETPRISM_CAPTURES").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}
