//! Who may import whom, and which of our crates owns which library.

use cargo_metadata::{DependencyKind, Metadata, Package};

/// One crate of ours and what it may import of ours. Everyone's tests may use `marketprism-testkit` besides.
const LAYERS: &[(&str, &[&str])] = &[
    ("marketprism-core", &[]),
    ("marketprism-exchanges", &["marketprism-core"]),
    ("marketprism-recording", &["marketprism-core"]),
    ("marketprism-replay", &["marketprism-core", "marketprism-exchanges", "marketprism-recording"]),
    ("marketprism-fuzz", &["marketprism-core", "marketprism-exchanges", "marketprism-recording"]),
    ("marketprism-bus", &["marketprism-core"]),
    ("marketprism-store", &["marketprism-core"]),
    ("marketprism-integrity", &["marketprism-core", "marketprism-bus", "marketprism-store"]),
    ("marketprism-service", &[]),
    (
        "marketprism-testkit",
        &["marketprism-core", "marketprism-bus", "marketprism-store", "marketprism-service"],
    ),
    (
        "marketprism-collector",
        &[
            "marketprism-core",
            "marketprism-exchanges",
            "marketprism-recording",
            "marketprism-replay",
            "marketprism-bus",
            "marketprism-service",
        ],
    ),
    (
        "marketprism-hot-storage",
        &["marketprism-core", "marketprism-bus", "marketprism-store", "marketprism-service"],
    ),
    (
        "marketprism-cold-storage",
        &[
            "marketprism-core",
            "marketprism-bus",
            "marketprism-store",
            "marketprism-integrity",
            "marketprism-service",
        ],
    ),
    (
        "marketprism-monitoring",
        &["marketprism-core", "marketprism-bus", "marketprism-store", "marketprism-service"],
    ),
    ("marketprism-broker-bootstrap", &["marketprism-core", "marketprism-bus", "marketprism-service"]),
    // These stand in for other people's servers: sharing our own decoders would make both wrong in the same way.
    ("marketprism-exchange-simulator", &["marketprism-service"]),
    ("marketprism-embedded-clickhouse", &["marketprism-service"]),
    // Starts the whole system and watches it from outside, as an operator would.
    ("marketprism-demo", &["marketprism-core"]),
    ("marketprism-chaos", &["marketprism-demo", "marketprism-testkit"]),
    ("marketprism-telemetry", &["marketprism-demo", "marketprism-testkit"]),
    // Development commands measure and show everything, but are part of nothing. Services they only start.
    (
        "xtask",
        &[
            "marketprism-core",
            "marketprism-exchanges",
            "marketprism-bus",
            "marketprism-store",
            "marketprism-testkit",
        ],
    ),
];

const TESTKIT: &str = "marketprism-testkit";

/// A library that only its owner may import; others only in their tests.
struct Owned {
    library: &'static str,
    owners: &'static [&'static str],
    in_tests_of: &'static [&'static str],
}

const OWNED: &[Owned] = &[
    Owned { library: "async-nats", owners: &["marketprism-bus"], in_tests_of: &[] },
    Owned {
        library: "clickhouse",
        owners: &["marketprism-store"],
        // Their tests look at the tables from outside, as a user of them would.
        in_tests_of: &[
            "marketprism-embedded-clickhouse",
            "marketprism-hot-storage",
            "marketprism-cold-storage",
        ],
    },
    Owned {
        library: "tokio-tungstenite",
        owners: &["marketprism-collector"],
        in_tests_of: &["marketprism-exchange-simulator"],
    },
    Owned { library: "libloading", owners: &["marketprism-embedded-clickhouse"], in_tests_of: &[] },
    Owned { library: "landlock", owners: &["marketprism-embedded-clickhouse"], in_tests_of: &[] },
    Owned { library: "seccompiler", owners: &["marketprism-embedded-clickhouse"], in_tests_of: &[] },
    Owned { library: "config", owners: &["marketprism-service"], in_tests_of: &[] },
    Owned { library: "metrics-exporter-prometheus", owners: &["marketprism-service"], in_tests_of: &[] },
    Owned { library: "tracing-subscriber", owners: &["marketprism-service"], in_tests_of: &[] },
    Owned { library: "schemars", owners: &["marketprism-core"], in_tests_of: &[] },
];

/// Core has no I/O, no async and no clock; exchanges neither.
const PURE: &[&str] = &["marketprism-core", "marketprism-exchanges"];
const IMPURE_LIBRARIES: &[&str] = &["tokio", "reqwest", "hyper", "axum", "socket2"];

/// Every import that the tables above do not allow.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let members = metadata.workspace_packages();
    let mut problems: Vec<String> =
        members.iter().flat_map(|package| of_package(package, &members)).collect();
    problems.sort();
    problems
}

fn of_package(package: &Package, members: &[&Package]) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, allowed)) = LAYERS.iter().find(|(member, _)| *member == name) else {
        return vec![format!(
            "{name}: not in the table of crates/xtask/src/tidy/layers.rs: say what it may import"
        )];
    };
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        let import = Import {
            name: dependency.name.as_str(),
            is_ours: members.iter().any(|member| member.name.as_str() == dependency.name),
            in_tests: dependency.kind == DependencyKind::Development,
        };
        problems.extend(of_import(name, allowed, &import));
    }
    problems
}

/// One line of a crate's dependencies.
struct Import<'a> {
    name: &'a str,
    is_ours: bool,
    in_tests: bool,
}

fn of_import(name: &str, allowed: &[&str], import: &Import<'_>) -> Option<String> {
    let Import { name: imported, is_ours, in_tests } = *import;
    if is_ours && !allowed.contains(&imported) && !(in_tests && imported == TESTKIT) {
        return Some(format!("{name} must not import {imported}"));
    }
    if !in_tests && PURE.contains(&name) && IMPURE_LIBRARIES.contains(&imported) {
        return Some(format!("{name} has no I/O, no async and no clock: it must not import {imported}"));
    }
    let owned = OWNED.iter().find(|owned| owned.library == imported)?;
    let may = owned.owners.contains(&name) || (in_tests && owned.in_tests_of.contains(&name));
    (!may).then(|| format!("{name} must not import {imported}: only {} may", owned.owners.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, imported: &str, in_tests: bool) -> String {
        let (_, allowed) = LAYERS.iter().find(|(member, _)| *member == name).unwrap();
        let is_ours = LAYERS.iter().any(|(member, _)| *member == imported);
        of_import(name, allowed, &Import { name: imported, is_ours, in_tests }).unwrap_or_default()
    }

    #[test]
    fn layers_hold_and_tests_may_use_only_the_testkit_besides() {
        assert_eq!(problem("marketprism-collector", "marketprism-bus", false), "");
        assert_eq!(problem("marketprism-core", "marketprism-testkit", true), "");
        assert!(problem("marketprism-core", "marketprism-testkit", false).contains("must not import"));
        assert!(problem("marketprism-bus", "marketprism-store", true).contains("must not import"));
        assert!(problem("marketprism-hot-storage", "marketprism-cold-storage", false).contains("must not"));
    }

    #[test]
    fn libraries_have_owners_and_the_core_is_pure() {
        assert_eq!(problem("marketprism-store", "clickhouse", false), "");
        assert_eq!(problem("marketprism-hot-storage", "clickhouse", true), "");
        assert!(
            problem("marketprism-hot-storage", "clickhouse", false).contains("only marketprism-store may")
        );
        assert!(problem("marketprism-collector", "async-nats", false).contains("only marketprism-bus may"));
        assert!(problem("marketprism-exchanges", "tokio", false).contains("no async"));
        assert_eq!(problem("marketprism-exchanges", "tokio", true), "");
    }
}
