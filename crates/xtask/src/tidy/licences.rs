//! The lists of `deny.toml` over the locked dependency graph, offline: licences, banned crates, sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::Metadata;
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::Failure;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Every dependency that `deny.toml` does not allow.
pub(super) fn check(metadata: &Metadata, root: &Path) -> Result<Vec<String>, Failure> {
    let deny: Deny = toml::from_str(&std::fs::read_to_string(root.join("deny.toml"))?)?;
    let allowed = deny.licenses.allow.iter().map(|id| Licensee::parse(id)).collect::<Result<Vec<_>, _>>()?;
    let mut problems = Vec::new();
    for package in &metadata.packages {
        let of_package = [
            licence(package.license.as_deref(), &allowed),
            ban(&package.name, &deny.bans),
            source(package.source.as_ref().map(|source| source.repr.as_str()), &deny.sources),
        ];
        problems.extend(
            of_package
                .into_iter()
                .flatten()
                .map(|problem| format!("{} {}: {problem} (deny.toml)", package.name, package.version)),
        );
    }
    Ok(problems)
}

/// Names that are there in several versions, each compiled for itself.
pub(super) fn duplicates(metadata: &Metadata) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        versions.entry(package.name.as_str()).or_default().insert(package.version.to_string());
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions.into_keys().map(str::to_owned).collect()
}

fn licence(stated: Option<&str>, allowed: &[Licensee]) -> Option<String> {
    let Some(stated) = stated else { return Some("states no licence".to_owned()) };
    // Lax, because old crates write `MIT/Apache-2.0`.
    match Expression::parse_mode(stated, ParseMode::LAX) {
        Err(error) => Some(format!("licence `{stated}` is not SPDX: {}", error.reason)),
        Ok(expression) => {
            let permitted =
                expression.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required)));
            (!permitted).then(|| format!("licence `{stated}` is not allowed"))
        }
    }
}

fn ban(name: &str, bans: &Bans) -> Option<String> {
    let banned = bans.deny.iter().find(|banned| banned.name == name)?;
    Some(format!("banned: {}", banned.reason))
}

/// Ours have no source.
fn source(source: Option<&str>, sources: &Sources) -> Option<String> {
    let source = source?;
    let known = sources
        .allow_registry
        .iter()
        .any(|registry| source.strip_prefix("registry+").is_some_and(|url| url == registry));
    (!known).then(|| format!("comes from {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_choice_is_enough_and_every_required_part_is_needed() {
        let allowed = [Licensee::parse("MIT").unwrap()];
        for good in ["MIT", "MIT OR Apache-2.0", "MIT/Apache-2.0"] {
            assert_eq!(licence(Some(good), &allowed), None, "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only"] {
            assert!(licence(Some(bad), &allowed).unwrap().contains("is not allowed"), "{bad}");
        }
        assert!(licence(Some("whatever you like"), &allowed).unwrap().contains("is not SPDX"));
        assert_eq!(licence(None, &allowed).unwrap(), "states no licence");
    }

    #[test]
    fn banned_crates_and_foreign_sources_are_told_with_the_reason() {
        let bans = Bans { deny: vec![Banned { name: "openssl".to_owned(), reason: "rustls".to_owned() }] };
        assert_eq!(ban("openssl", &bans).unwrap(), "banned: rustls");
        assert_eq!(ban("rustls", &bans), None);
        let sources = Sources { allow_registry: vec!["https://index.example".to_owned()] };
        assert_eq!(source(None, &sources), None);
        assert_eq!(source(Some("registry+https://index.example"), &sources), None);
        assert!(source(Some("git+https://example.org/x"), &sources).unwrap().starts_with("comes from git+"));
    }
}
