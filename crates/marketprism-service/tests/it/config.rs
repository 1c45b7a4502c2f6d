//! The layers, one over the other, and what they refuse.

use std::collections::BTreeMap;
use std::path::PathBuf;

use marketprism_service::config::{Environment, load, to_yaml};
use marketprism_service::{
    AdminConfig, ConfigError, Configuration, HumanDuration, LegacyVariable, LoggingConfig, Secret,
    ShutdownConfig,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    logging: LoggingConfig,
    admin: AdminConfig,
    shutdown: ShutdownConfig,
    nats: Nats,
    exchanges: BTreeMap<String, Exchange>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nats {
    url: String,
    password: Option<Secret>,
    in_flight_max: usize,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exchange {
    enabled: bool,
    depth: u16,
    symbols: Vec<String>,
}

impl Default for Sample {
    fn default() -> Self {
        let spot = Exchange { enabled: true, depth: 400, symbols: vec!["BTC-USDT".to_owned()] };
        Self {
            logging: LoggingConfig::default(),
            admin: AdminConfig::at_ports(8085, 9094),
            shutdown: ShutdownConfig::default(),
            nats: Nats { url: "nats://127.0.0.1:4222".to_owned(), password: None, in_flight_max: 1024 },
            exchanges: [("binance_spot".to_owned(), spot)].into(),
        }
    }
}

impl Configuration for Sample {
    fn logging(&self) -> &LoggingConfig {
        &self.logging
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }

    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }

    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

const LEGACY: &[LegacyVariable] = &[LegacyVariable { variable: "MARKETPRISM_NATS_URL", key: "nats.url" }];

fn sample(file: &str, variables: &[(&str, &str)]) -> Result<Sample, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.yaml");
    std::fs::write(&path, file).unwrap();
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    load(Some(&path), &environment, LEGACY)
}

fn refusal(file: &str, variables: &[(&str, &str)]) -> String {
    sample(file, variables).unwrap_err().to_string()
}

#[test]
fn each_layer_covers_the_one_below() {
    let file = "nats: {url: nats://file:1, in_flight_max: 7}\nexchanges: {binance_spot: {depth: 50}}\n";
    let config = sample(file, &[]).unwrap();
    assert_eq!((config.nats.url.as_str(), config.nats.in_flight_max), ("nats://file:1", 7));
    let spot = Exchange { enabled: true, depth: 50, symbols: vec!["BTC-USDT".to_owned()] };
    assert_eq!(config.exchanges["binance_spot"], spot, "an entry of a table is merged with its default");

    let variables = [
        ("MARKETPRISM__NATS__URL", "nats://section:2"),
        ("MARKETPRISM__EXCHANGES__BINANCE_SPOT__DEPTH", "20"),
        ("MARKETPRISM__NATS__IN_FLIGHT_MAX", ""),
    ];
    let config = sample(file, &variables).unwrap();
    assert_eq!((config.nats.url.as_str(), config.exchanges["binance_spot"].depth), ("nats://section:2", 20));
    assert_eq!(config.nats.in_flight_max, 7, "an empty variable is an unset one");

    let config = sample(file, &[variables[0], ("MARKETPRISM_NATS_URL", "nats://legacy:3")]).unwrap();
    assert_eq!(config.nats.url, "nats://legacy:3");
}

#[test]
fn a_new_list_replaces_the_default_one() {
    let config = sample("exchanges: {binance_spot: {symbols: [ETH-USDT, 牛-USDT]}}", &[]).unwrap();
    assert_eq!(config.exchanges["binance_spot"].symbols, ["ETH-USDT", "牛-USDT"]);
}

#[test]
fn the_legacy_ports_keep_the_address() {
    let file = "admin: {health_listen: '0.0.0.0:1'}";
    let config = sample(file, &[("HEALTH_CHECK_PORT", "8099"), ("METRICS_PORT", "9099")]).unwrap();
    assert_eq!(config.admin.health_listen.to_string(), "0.0.0.0:8099");
    assert_eq!(config.admin.metrics_listen.to_string(), "127.0.0.1:9099");
    let refused = refusal(file, &[("METRICS_PORT", "lots")]);
    assert_eq!(refused, "admin.metrics_listen: lots: METRICS_PORT is not a port");
}

#[test]
fn refusals_name_path_value_and_reason() {
    for (file, expected) in [
        ("nats: {urll: x}", "nats.urll: x: unknown field `urll`, expected one of"),
        ("natz: {url: x}", "natz: (a section): unknown field `natz`"),
        ("exchanges: {binance_spot: {dept: 5}}", "exchanges.binance_spot.dept: 5: unknown field"),
        ("exchanges: {binance_spot: {depth: 70000}}", "exchanges.binance_spot.depth: 70000: "),
        ("exchanges: {binance_spot: {depth: deep}}", "exchanges.binance_spot.depth: deep: "),
        ("admin: {health_listen: 8087}", "admin.health_listen: 8087: "),
        ("shutdown: {grace: 20}", "shutdown.grace: 20: not a duration such as 250ms or 20s"),
        ("logging: {level: loud}", "logging.level: loud: not one of error, warn"),
        ("logging: {format: xml}", "logging.format: xml: "),
        ("nats: [", "(unreadable): "),
    ] {
        let refused = refusal(file, &[]);
        assert!(refused.contains(expected), "{file}\n  says {refused}\n  not  {expected}");
    }
    let refused = refusal("{}", &[("MARKETPRISM__ADMIM__HEALTH_LISTEN", "x")]);
    assert!(refused.starts_with("admim: (a section): unknown field"), "{refused}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Sample>(Some(&PathBuf::from("no/such.yaml")), &Environment::new(), &[]).unwrap_err();
    assert!(error.to_string().starts_with("--config: no/such.yaml: failed to read"), "{error}");
}

#[test]
fn secrets_come_from_text_environment_or_file_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "from a file\n").unwrap();
    let in_file = format!("file:{}", path.display());
    for (given, expected) in [("plain", "plain"), (in_file.as_str(), "from a file"), ("0123", "0123")] {
        let config = sample("{}", &[("MARKETPRISM__NATS__PASSWORD", given)]).unwrap();
        assert_eq!(config.nats.password.as_ref().unwrap().expose(), expected);
        let shown = format!("{config:?} {}", to_yaml(&config).unwrap());
        assert!(!shown.contains(expected) && shown.contains("[redacted]"), "{shown}");
    }
    let refused = refusal("{}", &[("MARKETPRISM__NATS__PASSWORD", "file:/no/such/secret")]);
    assert!(
        refused.starts_with("nats.password: [redacted]: failed to read the secret's file /no/such/"),
        "{refused}"
    );
    let refused = refusal("nats: {passwrod: hunter2}", &[]);
    assert!(
        refused.starts_with("nats.passwrod: [redacted]: unknown field") && !refused.contains("hunter2"),
        "{refused}"
    );
    let shown = to_yaml(&sample("nats: {url: 'nats://u:hunter2@host'}", &[]).unwrap()).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn durations_are_read_and_printed_with_units() {
    let config = sample("shutdown: {grace: 1m 30s}", &[]).unwrap();
    assert_eq!(config.shutdown.grace, HumanDuration::from_secs(90));
    assert!(to_yaml(&config).unwrap().contains("grace: 1m 30s"));
}
