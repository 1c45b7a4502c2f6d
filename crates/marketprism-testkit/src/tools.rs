//! Where tests find what they do not build themselves: programs of the workspace, provisioned servers, captures.

use std::path::{Path, PathBuf};

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
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cache = || {
        folder("MARKETPRISM_CACHE").unwrap_or_else(|| {
            let home = || folder("HOME").unwrap_or_default().join(".cache");
            folder("XDG_CACHE_HOME").unwrap_or_else(home).join("marketprism")
        })
    };
    let path = folder(variable).unwrap_or_else(|| cache().join(file));
    assert!(path.is_file(), "no {}: run scripts/provision.sh", path.display());
    path
}

/// Raw exchange traffic recorded by others, where it is there: `MARKETPRISM_CAPTURES`, else beside the workspace. Without
/// it a test prints `skipped: …`.
#[must_use]
pub fn captures_dir() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let folder = std::env::var_os("MARKETPRISM_CAPTURES").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}
