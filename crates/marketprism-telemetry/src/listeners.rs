//! Where each program listens on a host that runs all of them: by the files that are shipped and, where these say nothing, by the
//! program's own default. No port is opened here.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use yaml_rust2::{Yaml, YamlLoader};

use crate::root;
use crate::units::Unit;

/// A port that a program takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Who takes it.
    pub program: String,
    /// The key or flag that says so.
    pub setting: String,
    /// Where.
    pub address: SocketAddr,
}

impl Listener {
    fn new(program: &str, setting: &str, address: &str) -> Self {
        let address =
            address.parse().unwrap_or_else(|error| panic!("{program}: {setting} {address}: {error}"));
        Self { program: program.to_owned(), setting: setting.to_owned(), address }
    }
}

/// Package, flag, and where the program listens without the flag.
const FLAGS: &[(&str, &str, &str)] = &[
    ("prometheus", "--web.listen-address", "0.0.0.0:9090"),
    ("prometheus-alertmanager", "--web.listen-address", "0.0.0.0:9093"),
    ("prometheus-alertmanager", "--cluster.listen-address", "0.0.0.0:9094"),
    ("prometheus-blackbox-exporter", "--web.listen-address", "0.0.0.0:9115"),
];

/// Keys and ports of the `config.xml` that ClickHouse's package brings; it listens on loopback.
const CLICKHOUSE: &[(&str, u16)] = &[
    ("http_port", 8123),
    ("tcp_port", 9000),
    ("mysql_port", 9004),
    ("postgresql_port", 9005),
    ("interserver_http_port", 9009),
];

/// Everything on one host.
#[must_use]
pub fn on_one_host() -> Vec<Listener> {
    let mut all = services();
    all.extend(nats());
    all.extend(clickhouse("hot"));
    all.extend(clickhouse("cold"));
    all.extend(watchers(|package| flags(&read(&format!("deploy/prometheus/default/{package}")))));
    all.push(grafana());
    all
}

/// What every `config/*.yaml` binds; the file of each service shows the defaults.
#[must_use]
pub fn services() -> Vec<Listener> {
    let mut found = Vec::new();
    for file in fs::read_dir(root().join("config")).expect("config/") {
        let path = file.expect("a file").path();
        let service = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let source = fs::read_to_string(&path).expect("a configuration");
        let documents = YamlLoader::load_from_str(&source).expect("a configuration");
        binds(&service, "", documents.first().expect("a document"), &mut found);
    }
    // In place of the hot tier's server, whose port it has.
    found.retain(|listener| listener.program != "embedded-clickhouse" || listener.setting != "listen");
    found
}

fn binds(service: &str, section: &str, yaml: &Yaml, found: &mut Vec<Listener>) {
    for (key, value) in yaml.as_hash().into_iter().flatten() {
        let key = key.as_str().unwrap_or_default();
        let setting = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        match value.as_str() {
            // Port 0 is any free one.
            Some(address) if key == "listen" || key.ends_with("_listen") => {
                let listener = Listener::new(service, &setting, address);
                found.extend((listener.address.port() != 0).then_some(listener));
            }
            _ => binds(service, &setting, value, found),
        }
    }
}

fn nats() -> Vec<Listener> {
    let source = read("deploy/nats/nats-server.conf");
    let value = |key: &str| {
        let line = source.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("nats-server.conf has no {key}")).trim_matches('"').to_owned()
    };
    let clients = Listener::new("nats-server", "listen", &value("listen"));
    // On the host of the clients' address.
    let monitoring = format!("{}:{}", clients.address.ip(), value("http_port"));
    vec![Listener::new("nats-server", "http_port", &monitoring), clients]
}

fn clickhouse(tier: &str) -> Vec<Listener> {
    let source = read(&format!("deploy/clickhouse/config.d/{tier}.xml"));
    let of = |(key, default): &(&str, u16)| {
        if source.contains(&format!("<{key} remove=\"1\"/>")) {
            return None;
        }
        let own = source.split_once(&format!("<{key}>")).and_then(|(_, rest)| rest.split_once('<'));
        let port = own.map_or_else(|| default.to_string(), |(port, _)| port.to_owned());
        Some(Listener::new(&format!("clickhouse-{tier}"), key, &format!("127.0.0.1:{port}")))
    };
    CLICKHOUSE.iter().filter_map(of).collect()
}

/// Prometheus, Alertmanager and the blackbox exporter, with what each package's arguments are.
#[must_use]
pub fn watchers(arguments: impl Fn(&str) -> BTreeMap<String, String>) -> Vec<Listener> {
    let of = |(package, flag, default): &(&str, &str, &str)| {
        let given = arguments(package).remove(*flag);
        let address = given.unwrap_or_else(|| (*default).to_owned());
        // An empty address is no listener.
        (!address.is_empty()).then(|| Listener::new(package, flag, &address))
    };
    FLAGS.iter().filter_map(of).collect()
}

/// `ARGS="--flag=value …"` of a file for `/etc/default`.
fn flags(source: &str) -> BTreeMap<String, String> {
    let line = source.lines().find_map(|line| line.strip_prefix("ARGS=\"")?.strip_suffix('"')).expect("ARGS");
    let flag = |text: &str| {
        let (flag, value) = text.split_once('=').unwrap_or_else(|| panic!("{text} is not --flag=value"));
        (flag.to_owned(), value.to_owned())
    };
    line.split_whitespace().map(flag).collect()
}

fn grafana() -> Listener {
    let unit = Unit::read(&path("deploy/grafana/grafana-server.service.d/marketprism.conf"));
    let value = |name: &str| {
        unit.all("Environment")
            .into_iter()
            .find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    };
    let host = value("GF_SERVER_HTTP_ADDR").unwrap_or("0.0.0.0");
    let port = value("GF_SERVER_HTTP_PORT").unwrap_or("3000");
    Listener::new("grafana", "GF_SERVER_HTTP_ADDR", &format!("{host}:{port}"))
}

fn path(name: &str) -> PathBuf {
    root().join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
