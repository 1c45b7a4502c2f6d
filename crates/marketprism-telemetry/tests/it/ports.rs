//! Everything that is shipped, on one host at once: no port is taken twice, nothing listens to the network, and whoever is asked for
//! listens.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use marketprism_telemetry::compose;
use marketprism_telemetry::listeners::{Listener, on_one_host, services, watchers};
use marketprism_telemetry::root;
use yaml_rust2::{Yaml, YamlLoader};

/// Two listeners of one port, whatever their addresses: the one that starts later does not start.
fn conflicts(listeners: &[Listener]) -> Vec<String> {
    let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for Listener { program, setting, address } in listeners {
        by_port.entry(address.port()).or_default().push(format!("{program} ({setting}) {address}"));
    }
    by_port.into_values().filter(|who| who.len() > 1).map(|who| who.join(" and ")).collect()
}

fn ports() -> BTreeSet<u16> {
    on_one_host().iter().map(|listener| listener.address.port()).collect()
}

#[test]
fn no_port_is_taken_twice_on_one_host() {
    let listeners = on_one_host();
    for (program, port) in [
        ("nats-server", 8222),
        ("clickhouse-cold", 8124),
        ("hot-storage", 9094),
        ("monitoring", 8060),
        ("prometheus-alertmanager", 9093),
        ("grafana", 3000),
        ("exchange-simulator", 9443),
    ] {
        let is_there = listeners.iter().any(|one| one.program == program && one.address.port() == port);
        assert!(is_there, "{program} is not at {port}: {listeners:#?}");
    }
    assert_eq!(conflicts(&listeners), [""; 0]);
}

/// What the packages of a distribution do by themselves, and why `deploy/prometheus/default` is there.
#[test]
fn without_our_arguments_alertmanager_takes_the_port_of_hot_storage() {
    let mut listeners = services();
    listeners.extend(watchers(|_| BTreeMap::new()));
    let [conflict] = &conflicts(&listeners)[..] else { panic!("{:?}", conflicts(&listeners)) };
    assert!(conflict.contains("hot-storage (admin.metrics_listen)"), "{conflict}");
    assert!(conflict.contains("prometheus-alertmanager (--cluster.listen-address)"), "{conflict}");
}

#[test]
fn nothing_listens_to_the_network() {
    for listener in on_one_host() {
        assert!(listener.address.ip().is_loopback(), "{listener:?}");
    }
}

/// Each `127.0.0.1:PORT` and `localhost:PORT` of a text.
fn asked(text: &str) -> BTreeSet<u16> {
    let hosts = ["127.0.0.1:", "localhost:"];
    let rests = hosts.iter().flat_map(|host| text.split(host).skip(1));
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    rests.filter_map(|rest| digits(rest).parse().ok()).filter(|port| *port != 0).collect()
}

fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<(String, String)>) {
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), found));
        } else if let Ok(text) = fs::read_to_string(path) {
            found.push((path.display().to_string(), text));
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder}");
    found
}

#[test]
fn whoever_is_asked_for_listens() {
    let ports = ports();
    let folders = ["config", "deploy/prometheus", "deploy/alertmanager", "deploy/grafana"];
    for (file, text) in folders.into_iter().flat_map(files) {
        let asked = asked(&text);
        assert!(asked.is_subset(&ports), "{file}: {:?}", asked.difference(&ports));
    }
}

/// Published on loopback, each once, where the same program is without containers: the runbook has one port for both.
#[test]
fn compose_publishes_the_same_ports() {
    let ports = ports();
    let mut published = BTreeSet::new();
    for service in compose::services() {
        for (host, _) in service.published() {
            assert!(published.insert(host), "{}: {host} is published twice", service.name);
            assert!(ports.contains(&host), "{}: nothing is at {host} without containers", service.name);
        }
    }
    let runbook = fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let asked = asked(&runbook);
    assert!(asked.contains(&8222), "{asked:?}");
    assert!(asked.is_subset(&published), "the runbook asks for {:?}", asked.difference(&published));
    let check = fs::read_to_string(root().join("deploy/check.sh")).unwrap();
    let asked = self::asked(&check.replace("$host", "localhost"));
    assert!(asked.is_subset(&published), "check.sh asks for {:?}", asked.difference(&published));
}

/// `deploy/docker/targets` is `deploy/prometheus/targets` with names in place of addresses.
#[test]
fn targets_of_containers_are_the_same() {
    let services: BTreeSet<_> = compose::services().into_iter().map(|service| service.name).collect();
    let [without, within] = ["deploy/prometheus/targets", "deploy/docker/targets"].map(targets);
    assert_eq!(without.keys().collect::<Vec<_>>(), within.keys().collect::<Vec<_>>());
    for (file, within) in within {
        let components =
            |targets: &[Target]| targets.iter().map(|one| one.component.clone()).collect::<Vec<_>>();
        assert_eq!(components(&within), components(&without[&file]), "{file}");
        for Target { host, exporter, .. } in within {
            // Public names and addresses have a dot.
            for host in [host, exporter].iter().filter(|host| !host.contains('.') && !host.is_empty()) {
                assert!(services.contains(host), "{file}: {host} is no service");
            }
        }
    }
}

#[derive(Debug)]
struct Target {
    host: String,
    exporter: String,
    component: String,
}

/// Every target of the files of a folder, by the file's name.
fn targets(folder: &str) -> BTreeMap<String, Vec<Target>> {
    let host = |address: &str| {
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        address.split(':').next().unwrap().to_owned()
    };
    let group = |group: &Yaml| {
        let label = |name: &str| group["labels"][name].as_str().unwrap_or_default().to_owned();
        let (exporter, component) = (host(&label("__exporter")), label("component"));
        let targets = group["targets"].as_vec().unwrap().iter().map(|target| host(target.as_str().unwrap()));
        targets
            .map(|host| Target { host, exporter: exporter.clone(), component: component.clone() })
            .collect::<Vec<_>>()
    };
    let file = |(path, text): (String, String)| {
        let groups = YamlLoader::load_from_str(&text).unwrap().remove(0);
        (
            path.rsplit('/').next().unwrap().to_owned(),
            groups.as_vec().unwrap().iter().flat_map(group).collect(),
        )
    };
    files(folder).into_iter().map(file).collect()
}
