//! The compose file by itself: what Docker would refuse, and the limits that each container has.

use std::collections::BTreeSet;
use std::process::Command;

use marketprism_telemetry::compose::{Service, compose, services, source};
use marketprism_telemetry::root;
use marketprism_testkit::binary;
use yaml_rust2::Yaml;

use crate::rules::content;

/// They start as root, hand their folders to a user of their own and become it.
const STARTS_AS_ROOT: &[&str] = &["clickhouse-hot", "clickhouse-cold"];

/// Compose refuses to put a variable's value into a container whose file system is read-only: such a service is never created.
#[test]
fn a_secret_is_a_file() {
    let compose = compose();
    let mut used = BTreeSet::new();
    for service in services() {
        for secret in service.list("secrets") {
            let definition = &compose["secrets"][secret];
            let is_file = definition["file"].as_str().is_some_and(|path| path.starts_with("secrets/"));
            assert!(
                is_file,
                "{}: secret {secret} is not a file below secrets/: {definition:?}",
                service.name
            );
            used.insert(secret.to_owned());
        }
    }
    let all = compose["secrets"].as_hash().unwrap().keys().filter_map(Yaml::as_str).map(str::to_owned);
    assert_eq!(all.collect::<BTreeSet<_>>(), used, "a secret that nobody uses");
}

/// Neither the secrets nor `.env` may be committed by accident.
#[test]
fn what_is_secret_is_ignored_by_git() {
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    for path in ["/deploy/docker/.env", "/deploy/docker/secrets"] {
        assert!(ignored.lines().any(|line| line == path), "{path}");
    }
}

#[test]
fn every_variable_is_in_the_example() {
    let example = std::fs::read_to_string(root().join("deploy/docker/env.example")).unwrap();
    let source = source();
    let names = source.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
    let names: BTreeSet<_> = names.collect();
    assert!(names.contains("MARKETPRISM_READER_PASSWORD"), "{names:?}");
    let given: BTreeSet<_> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(names, given);
}

/// By digest, or by a tag with all three numbers of a version, which is not given to another image later.
#[test]
fn images_are_pinned() {
    for service in services().into_iter().filter(|service| !service.is_ours()) {
        let image = service.text("image");
        assert!(is_pinned(image), "{}: {image:?} is neither a full version nor a digest", service.name);
    }
    for floating in ["nats", "nats:latest", "nats:2.15-alpine", "registry:5000/nats"] {
        assert!(!is_pinned(floating), "{floating}");
    }
}

fn is_pinned(image: &str) -> bool {
    let Some((_, tag)) = image.rsplit_once(':') else { return false };
    let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
    let numbers: Vec<_> = version.split('.').collect();
    image.contains("@sha256:")
        || (numbers.len() >= 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()))
}

#[test]
fn every_container_has_limits() {
    for service in services() {
        let Service { name, settings } = &service;
        let logs = &settings["logging"]["options"];
        assert!(
            logs["max-size"].as_str().is_some() && logs["max-file"].as_str().is_some(),
            "{name}: logs grow"
        );
        assert!(!service.text("mem_limit").is_empty(), "{name}: no mem_limit");
        assert!(settings["pids_limit"].as_i64().is_some_and(|threads| threads > 0), "{name}: no pids_limit");
        assert_eq!(service.list("security_opt"), ["no-new-privileges:true"], "{name}");
        if STARTS_AS_ROOT.contains(&name.as_str()) {
            continue;
        }
        assert_eq!(service.list("cap_drop"), ["ALL"], "{name}");
        assert_eq!(settings["read_only"].as_bool(), Some(true), "{name}");
    }
}

#[test]
fn every_container_is_started_again_and_says_whether_it_is_well() {
    for service in services() {
        let runs_once = service.name == "broker-bootstrap";
        let restart = if runs_once { "on-failure" } else { "unless-stopped" };
        assert_eq!(service.text("restart"), restart, "{}", service.name);
        let has_check = !service.settings["healthcheck"]["test"].is_badvalue();
        assert_eq!(has_check, !runs_once, "{}: healthcheck", service.name);
    }
}

/// Without it nothing says whether a power cut loses confirmed messages.
#[test]
fn the_broker_is_asked_how_often_it_syncs() {
    let services = services();
    let bootstrap = services.iter().find(|service| service.name == "broker-bootstrap").unwrap();
    let url = bootstrap.settings["environment"]["MARKETPRISM__MONITORING_URL"].as_str();
    assert_eq!(url, Some("http://nats:8222"));
}

/// Each variable is one that the service knows, and is valid with the file that is mounted.
#[test]
fn every_service_takes_its_environment() {
    for service in services().into_iter().filter(Service::is_ours) {
        let variables =
            service.environment().into_iter().filter(|(name, _)| name.starts_with("MARKETPRISM__"));
        check_config(&service.name, variables);
    }
}

/// `--check-config` of a service with its shipped file and these variables.
pub(crate) fn check_config<'a>(name: &str, variables: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut command = Command::new(binary(&format!("marketprism-{name}")));
    command
        .arg("--config")
        .arg(root().join(format!("config/{name}.yaml")))
        .arg("--check-config")
        .envs(variables);
    content(command);
}
