//! The systemd units by themselves: each service has one, they differ only in what they must, and they agree with the configuration and
//! the compose file.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use marketprism_telemetry::compose;
use marketprism_telemetry::root;
use marketprism_telemetry::rules::duration;
use marketprism_telemetry::units::{Unit, units};

use crate::compose::check_config;

/// What is a service's own; everything else is the same for all of them.
const OWN: &[&str] = &[
    "Description",
    "After",
    "Type",
    "RemainAfterExit",
    "TimeoutStartSec",
    "ExecStart",
    "ExecReload",
    "EnvironmentFile",
    "Restart",
    "StandardOutput",
    "MemoryMax",
];

/// Others end when they get SIGHUP, as any process does.
const RELOADS: &[&str] = &["collector"];

/// Name of the service and its unit.
fn services() -> Vec<(String, Unit)> {
    let service = |unit: Unit| {
        let name = unit.name.strip_prefix("marketprism-")?.strip_suffix(".service")?.to_owned();
        Some((name, unit))
    };
    let services: Vec<_> = units("systemd").into_iter().filter_map(service).collect();
    assert!(services.len() >= 5, "{services:?}");
    services
}

fn seconds(text: &str) -> Duration {
    let text = text.replace("min", "m");
    duration(&text).unwrap_or_else(|| panic!("{text} is no time"))
}

#[test]
fn target_units_and_containers_are_the_same_services() {
    let names: BTreeSet<_> = services().into_iter().map(|(name, _)| name).collect();
    let target = units("systemd").into_iter().find(|unit| unit.name == "marketprism.target").unwrap();
    let wanted = target.one("Wants").split(' ');
    let wanted = wanted
        .map(|unit| unit.strip_prefix("marketprism-").unwrap().strip_suffix(".service").unwrap().to_owned());
    assert_eq!(wanted.collect::<BTreeSet<_>>(), names);
    let built = compose::services().into_iter().filter(compose::Service::is_ours).map(|service| service.name);
    assert_eq!(built.collect::<BTreeSet<_>>(), names);
}

#[test]
fn each_unit_starts_its_binary_with_its_configuration() {
    for (name, unit) in services() {
        let start = format!("/usr/local/bin/marketprism-{name} --config /etc/marketprism/{name}.yaml");
        assert_eq!(unit.one("ExecStart"), start);
        assert_eq!(unit.one("EnvironmentFile"), format!("-/etc/marketprism/{name}.env"));
        assert!(root().join(format!("config/{name}.yaml")).exists(), "{name}");
        assert_eq!(unit.one("PartOf"), "marketprism.target");
        assert_eq!(unit.one("WantedBy"), "marketprism.target");
    }
}

#[test]
fn each_unit_differs_in_what_is_its_own_only() {
    let shared = |unit: &Unit| {
        let settings = unit.settings.iter().filter(|(_, key, _)| !OWN.contains(&key.as_str()));
        settings.cloned().collect::<Vec<_>>()
    };
    let services = services();
    let (_, first) = &services[0];
    let common = shared(first);
    for (_, unit) in &services {
        assert_eq!(shared(unit), common, "{} and {}", unit.name, first.name);
    }
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("RestartPreventExitStatus", "64"),
        ("StartLimitIntervalSec", "0"),
        // Without it the log goes where standard output goes, which is nowhere.
        ("StandardError", "journal"),
    ] {
        assert_eq!(first.one(key), value, "{key}");
    }
}

/// A name that no unit has would be ignored by systemd without a word.
#[test]
fn what_is_waited_for_is_shipped_or_comes_with_a_package() {
    let mut known: BTreeSet<_> =
        ["network-online.target", "clickhouse-server.service"].map(str::to_owned).into();
    known.extend(["systemd", "nats", "clickhouse"].into_iter().flat_map(units).map(|unit| unit.name));
    for (name, unit) in services() {
        let after: BTreeSet<_> = unit.one("After").split(' ').map(str::to_owned).collect();
        assert!(after.is_subset(&known), "{name}: {:?}", after.difference(&known));
        for server in ["nats-server.service", "clickhouse-server.service", "clickhouse-cold.service"] {
            assert!(after.contains(server), "{name} may start before {server}");
        }
    }
}

#[test]
fn only_who_reads_its_configuration_again_can_be_reloaded() {
    for (name, unit) in services() {
        let expected = if RELOADS.contains(&name.as_str()) { &["/bin/kill -HUP $MAINPID"][..] } else { &[] };
        assert_eq!(unit.all("ExecReload"), expected, "{name}");
    }
}

/// Stopping a service waits longer than it drains, with systemd and with containers.
#[test]
fn draining_is_not_cut_short() {
    for (name, unit) in services() {
        let config = fs::read_to_string(root().join(format!("config/{name}.yaml"))).unwrap();
        let grace = config.split("\n  grace: ").nth(1).unwrap().split_whitespace().next().unwrap();
        let grace = seconds(grace);
        let container = compose::services().into_iter().find(|service| service.name == name).unwrap();
        for stop in [unit.one("TimeoutStopSec"), container.text("stop_grace_period")] {
            assert!(seconds(stop) > grace, "{name}: {stop} is not longer than {grace:?}");
        }
    }
}

#[test]
fn memory_is_the_same_in_units_and_containers() {
    let all = services().into_iter().map(|(name, unit)| (name, unit.one("MemoryMax").to_lowercase()));
    let mut all: Vec<_> = all.collect();
    for (name, folder) in [("nats", "nats"), ("clickhouse-cold", "clickhouse")] {
        let [unit] = &units(folder)[..] else { panic!("one unit in {folder}") };
        all.push((name.to_owned(), unit.one("MemoryMax").to_lowercase()));
    }
    for (name, memory) in all {
        let container = compose::services().into_iter().find(|service| service.name == name).unwrap();
        assert_eq!(container.text("mem_limit"), memory, "{name}");
    }
}

/// What a README installs is there, and every unit and file of defaults is installed by one.
#[test]
fn readmes_install_what_there_is() {
    for (folder, readme) in [
        ("systemd", "systemd"),
        ("systemd/env", "systemd"),
        ("nats", "systemd"),
        ("clickhouse", "clickhouse"),
        ("clickhouse/config.d", "clickhouse"),
        ("clickhouse/users.d", "clickhouse"),
        ("prometheus/default", "prometheus"),
        ("grafana/grafana-server.service.d", "grafana"),
    ] {
        let readme = fs::read_to_string(root().join(format!("deploy/{readme}/README.md"))).unwrap();
        for entry in fs::read_dir(root().join("deploy").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_file() && name != "README.md" {
                let whole = format!("deploy/{folder}/");
                assert!(
                    readme.contains(&format!("{whole}{name}")) || readme.contains(&format!("{whole}*")),
                    "{folder}/{name}"
                );
            }
        }
    }
}

/// Each variable of the examples is one that the service knows.
#[test]
fn every_service_takes_its_example_of_an_environment() {
    for entry in fs::read_dir(root().join("deploy/systemd/env")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(services().iter().any(|(service, _)| service == name), "{name} is no service");
        let example = fs::read_to_string(&path).unwrap();
        let variables = example.lines().filter(|line| !line.starts_with('#'));
        check_config(name, variables.map(|line| line.split_once('=').unwrap()));
    }
}
