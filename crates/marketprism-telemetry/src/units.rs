//! The systemd units and drop-ins of `deploy/` as data: sections, keys, values. systemd itself is not asked.

use std::fs;
use std::path::Path;

use crate::root;

/// A unit or a drop-in.
#[derive(Debug)]
pub struct Unit {
    /// The name of its file.
    pub name: String,
    /// Section, key and value, in the order of the file.
    pub settings: Vec<(String, String, String)>,
}

impl Unit {
    /// One file.
    ///
    /// # Panics
    /// When it cannot be read, or a line of it is no section, setting or comment.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut section = String::new();
        let mut settings = Vec::new();
        for line in source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                title.clone_into(&mut section);
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(!section.is_empty(), "{name}: {line} is in no section");
            settings.push((section.clone(), key.to_owned(), value.to_owned()));
        }
        Self { name, settings }
    }

    /// Every value of a key, whatever the section.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<&str> {
        let settings = self.settings.iter().filter(|(_, name, _)| name == key);
        settings.map(|(_, _, value)| value.as_str()).collect()
    }

    /// The value of a key that there is once.
    ///
    /// # Panics
    /// When it is not there once.
    #[must_use]
    pub fn one(&self, key: &str) -> &str {
        let values = self.all(key);
        let [value] = values[..] else { panic!("{}: {key} is {values:?}", self.name) };
        value
    }
}

/// The units of one folder below `deploy/`, by name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn units(folder: &str) -> Vec<Unit> {
    let folder = root().join("deploy").join(folder);
    let files = fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file").path());
    let is_unit = |path: &Path| path.extension().is_some_and(|kind| kind == "service" || kind == "target");
    let mut units: Vec<_> = files.filter(|path| is_unit(path)).map(|path| Unit::read(&path)).collect();
    units.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!units.is_empty(), "nothing in {}", folder.display());
    units
}
