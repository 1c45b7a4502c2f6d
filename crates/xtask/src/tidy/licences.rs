//! The lists of `deny.toml` over the locked dependency graph, offline: licences, banned crates, sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{Metadata, Package};
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
        let of_package =
            [licence(package, &allowed), ban(package, &deny.bans), source(package, &deny.sources)];
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

fn licence(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Some(stated) = &package.license else { return Some("states no licence".to_owned()) };
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

fn ban(package: &Package, bans: &Bans) -> Option<String> {
    let banned = bans.deny.iter().find(|banned| banned.name == package.name.as_str())?;
    Some(format!("banned: {}", banned.reason))
}

fn source(package: &Package, sources: &Sources) -> Option<String> {
    let source = package.source.as_ref()?;
    let known = sources.allow_registry.iter().any(|registry| source.repr == format!("registry+{registry}"));
    (!known).then(|| format!("comes from {source}"))
}
