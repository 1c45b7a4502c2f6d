//! File sizes and names, and where `unsafe` may be.

use std::path::{Path, PathBuf};

/// Lines at most: beyond that a file holds more than one idea.
const LINES_MAX: usize = 400;
/// Tables of cases are long and simple.
const TEST_LINES_MAX: usize = 600;

/// Names that say nothing of what lives there.
const FORBIDDEN_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

/// The only file that may call foreign code.
const UNSAFE_FILE: &str = "services/embedded-clickhouse/src/ffi.rs";
/// Where these rules themselves are written down.
const THIS_FILE: &str = "crates/xtask/src/tidy/sources.rs";

/// One Rust file.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) lines: usize,
    text: String,
}

/// Every Rust file of the workspace.
pub(super) fn read(root: &Path, files: &[PathBuf]) -> Vec<Source> {
    let rust = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.filter_map(|path| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(Source { path: path.clone(), lines: text.lines().count(), text })
    })
    .collect()
}

pub(super) fn largest(sources: &[Source]) -> Vec<&Source> {
    let mut largest: Vec<_> = sources.iter().collect();
    largest.sort_by_key(|source| std::cmp::Reverse(source.lines));
    largest.truncate(10);
    largest
}

/// Everything wrong with the files themselves.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(of_file).collect()
}

fn of_file(source: &Source) -> Vec<String> {
    let path = source.path.display();
    let is_test = source.path.components().any(|part| part.as_os_str() == "tests");
    let lines_max = if is_test { TEST_LINES_MAX } else { LINES_MAX };
    let mut problems = Vec::new();
    if source.lines > lines_max {
        problems.push(format!(
            "{path}: {} lines, at most {lines_max}: split it by what lives there",
            source.lines
        ));
    }
    for part in source.path.with_extension("").components() {
        if let Some(name) = part.as_os_str().to_str().filter(|name| FORBIDDEN_NAMES.contains(name)) {
            problems.push(format!("{path}: `{name}` says nothing: name it for what lives there"));
        }
    }
    // The lint `unsafe_code` is denied for the whole workspace, so only whoever allows it can use it.
    let may_be_unsafe = [UNSAFE_FILE, THIS_FILE].iter().any(|allowed| source.path == Path::new(allowed));
    if source.text.contains("unsafe_code") && !may_be_unsafe {
        problems.push(format!("{path}: only {UNSAFE_FILE} may allow unsafe code"));
    }
    if !source.text.starts_with("//!") {
        problems.push(format!("{path}: does not open with what it is (//! …)"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> String {
        of_file(&Source { path: path.into(), lines: text.lines().count(), text: text.to_owned() }).join("; ")
    }

    #[test]
    fn a_good_file_has_no_problem() {
        assert_eq!(problems("crates/x/src/subject.rs", "//! Subjects.\n"), "");
        assert_eq!(problems(UNSAFE_FILE, "//! Foreign calls.\n#![allow(unsafe_code)]\n"), "");
    }

    #[test]
    fn long_files_are_found_and_tests_may_be_longer() {
        let text = "//! Long.\n".repeat(401);
        assert!(problems("crates/x/src/long.rs", &text).contains("401 lines, at most 400"));
        assert_eq!(problems("crates/x/tests/it/long.rs", &text), "");
    }

    #[test]
    fn empty_names_unsafe_code_and_missing_openings_are_found() {
        assert!(problems("crates/x/src/utils.rs", "//! x\n").contains("`utils` says nothing"));
        assert!(problems("crates/x/src/common/book.rs", "//! x\n").contains("`common` says nothing"));
        assert!(
            problems("crates/x/src/book.rs", "//! x\n#[allow(unsafe_code)]\n").contains("only services/")
        );
        assert!(problems("crates/x/src/book.rs", "use std::fmt;\n").contains("does not open"));
    }
}
