//! The users of `deploy/clickhouse/users.d` may read every system table that the store asks: the engine of the tests has one user,
//! so their grants are compared with the source.

use std::collections::BTreeSet;
use std::path::Path;

/// The system tables that the files of the store name.
fn asked(but_for: &[&str]) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !but_for.contains(&path.file_name().unwrap().to_str().unwrap()) {
                let source = std::fs::read_to_string(path).unwrap();
                tables.extend(source.split("system.").skip(1).map(|rest| word(rest).to_owned()));
            }
        }
    }
    tables
}

fn word(text: &str) -> &str {
    text.split(|character: char| !character.is_ascii_lowercase() && character != '_').next().unwrap()
}

/// The system tables that a user of a tier's file may read.
fn granted(file: &str, user: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/clickhouse/users.d").join(file);
    let file = std::fs::read_to_string(path).unwrap();
    let (_, rest) = file.split_once(&format!("<{user}>")).unwrap();
    let (own, _) = rest.split_once(&format!("</{user}>")).unwrap();
    own.split("GRANT SELECT ON system.").skip(1).map(|rest| word(rest).to_owned()).collect()
}

#[test]
fn users_may_read_the_system_tables_that_are_asked() {
    assert!(asked(&[]).contains("processes"));
    // Only cold-storage lets hot parts go.
    assert_eq!(granted("hot.xml", "marketprism_hot_storage"), asked(&["release.rs"]));
    assert_eq!(granted("cold.xml", "marketprism_cold_storage"), asked(&["release.rs"]));
    assert_eq!(granted("hot.xml", "marketprism_cold_storage"), asked(&[]));
}
