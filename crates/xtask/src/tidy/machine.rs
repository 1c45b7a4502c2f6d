//! Nothing of the machine it was written on may be in the tree: its folders, its registries.

use std::path::{Path, PathBuf};

use crate::workspace::output_of;

/// Every mention of this machine in a text file.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Vec<String> {
    let marks = marks(root);
    files.iter().flat_map(|path| of_file(root, path, &marks)).collect()
}

/// Texts that only this machine has.
fn marks(root: &Path) -> Vec<String> {
    let home = std::env::home_dir();
    let folders = [Some(root), root.parent(), home.as_deref()].into_iter().flatten();
    // `/` and `/tmp` are on every machine.
    let folders = folders.filter(|folder| folder.components().count() > 1 && *folder != Path::new("/tmp"));
    let mut marks: Vec<String> = folders.map(|folder| format!("{}/", folder.display())).collect();
    let registries = [
        output_of("npm", &["config", "get", "registry"]),
        output_of("pip", &["config", "get", "global.index-url"]),
    ];
    // Which registry is used is the package managers' setting, public or not.
    marks.extend(registries.iter().flatten().filter_map(|url| host(url)).map(str::to_owned));
    marks
}

fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit('@').next()?;
    host.split(':').next()
}

fn of_file(root: &Path, path: &Path, marks: &[String]) -> Vec<String> {
    // Not UTF-8 means binary: fixtures and pictures.
    let Ok(text) = std::fs::read_to_string(root.join(path)) else { return Vec::new() };
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(mark) = marks.iter().find(|mark| mentions(line, mark)) {
            problems.push(format!("{}:{number}: names this machine: {mark}", path.display()));
        }
    }
    problems
}

/// `/srv/x` is a mention of `/srv/`; `example.org/srv/x` and `$HOME/srv/x` are not.
fn mentions(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}~*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_are_mentions() {
        let mark = format!("/{}/", "srv");
        assert!(mentions(&format!("cd {mark}x"), &mark));
        assert!(mentions(&format!("\"{mark}x\""), &mark));
        assert!(!mentions(&format!("https://example.org{mark}x"), &mark));
        assert!(!mentions(&format!("${{HOME}}{mark}x"), &mark));
    }

    #[test]
    fn the_host_of_a_registry_is_found() {
        assert_eq!(host("https://user:secret@registry.example:8081/npm/"), Some("registry.example"));
    }
}
