//! The configuration of each process of the demo: what differs from its defaults, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::options::Market;
use crate::password::{Password, USER};
use crate::ports::Ports;

/// What the collector is to collect.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    /// Canonical symbols by market; a market that is absent is not collected. Empty takes the collector's defaults.
    pub markets: BTreeMap<Market, Vec<String>>,
    /// `trade` or `aggTrade`, where the exchange's default is not what is served.
    pub trade_stream: Option<&'static str>,
}

/// Everything JetStream is told: durable within a second of power loss, loopback only.
pub(crate) fn nats(ports: &Ports, store: &Path) -> String {
    format!(
        "listen: 127.0.0.1:{}\nhttp: 127.0.0.1:{}\nserver_name: marketprism-demo\n\
         jetstream {{ store_dir: {:?}, max_mem: 256M, max_file: 50G, sync_interval: \"1s\" }}\n",
        ports.nats,
        ports.nats_monitor,
        store.display().to_string(),
    )
}

pub(crate) fn clickhouse(
    listen: u16,
    admin: [u16; 2],
    path: &Path,
    library: &Path,
    password: &Password,
) -> Value {
    json!({
        "listen": address(listen),
        "user": USER,
        "password": password.reveal(),
        "path": path,
        "library": library,
        // Two engines share the machine with everything else.
        "engine": { "memory_bytes_max": 3_u64 << 30 },
        "admin": admin_section(admin),
    })
}

pub(crate) fn simulator(ports: &Ports, ledger: &Path) -> Value {
    json!({
        "listen": address(ports.simulator),
        "ledger": ledger,
        "admin": admin_section(ports.simulator_admin),
    })
}

pub(crate) fn broker_bootstrap(ports: &Ports) -> Value {
    json!({ "nats": nats_section(ports) })
}

pub(crate) fn collector(ports: &Ports, subscription: &Subscription, live: bool, interval: Duration) -> Value {
    let base = address(ports.simulator);
    let exchange = |market: Market| {
        let Some(symbols) = subscription.markets.get(&market) else { return json!({ "enabled": false }) };
        let mut exchange = json!({
            "orderbook": { "publish_interval": humantime::format_duration(interval).to_string() },
            // A demo of a minute should show what is polled, too.
            "poll_interval": "10s",
        });
        if !symbols.is_empty() {
            insert(&mut exchange, "symbols", json!(symbols));
        }
        if let Some(stream) = subscription.trade_stream {
            insert(&mut exchange, "trade_stream", json!(stream));
            // A capture holds trades and books.
            insert(&mut exchange, "data_types", json!(["trade", "orderbook"]));
        }
        if !live {
            insert(&mut exchange, "ws_url", json!(format!("ws://{base}")));
            insert(&mut exchange, "rest_url", json!(url(ports.simulator)));
        }
        exchange
    };
    let exchanges: serde_json::Map<_, _> =
        Market::ALL.into_iter().map(|market| (market.word().to_owned(), exchange(market))).collect();
    json!({
        "nats": nats_section(ports),
        "admin": admin_section(ports.collector_admin),
        // A restarted simulator or collector should find the other at once in a demo of a minute.
        "reconnect": { "first": "100ms", "max": "2s" },
        "exchanges": exchanges,
    })
}

pub(crate) fn hot_storage(ports: &Ports, admin: [u16; 2], password: &Password) -> Value {
    json!({
        "nats": nats_section(ports),
        "admin": admin_section(admin),
        "clickhouse": engine_section(ports.clickhouse_hot, password),
    })
}

pub(crate) fn cold_storage(ports: &Ports, admin: [u16; 2], password: &Password) -> Value {
    json!({
        "nats": nats_section(ports),
        "admin": admin_section(admin),
        "hot": engine_section(ports.clickhouse_hot, password),
        "cold": engine_section(ports.clickhouse_cold, password),
        // So that the cold column follows the hot one while somebody watches.
        "replication": { "interval": "1s" },
    })
}

/// The monitoring service, with all that it asks, at the ports of this pipeline. There is no Prometheus and no Alertmanager.
pub fn monitoring(ports: &Ports, password: &Password) -> Value {
    let component = |[health, metrics]: [u16; 2]| json!({ "health": url(health), "metrics": url(metrics) });
    json!({
        "listen": address(ports.console),
        "bridge": { "listen": address(ports.console_bridge) },
        "upstreams": { "prometheus": null, "alertmanager": null },
        "components": {
            "collector": component(ports.collector_admin),
            "hot_storage": component(ports.hot_storage_admin),
            "cold_storage": component(ports.cold_storage_admin),
        },
        "monitoring_url": url(ports.nats_monitor),
        "nats": nats_section(ports),
        "hot": engine_section(ports.clickhouse_hot, password),
        "cold": engine_section(ports.clickhouse_cold, password),
        "admin": admin_section(ports.console_admin),
    })
}

/// Puts `over`'s fields into `object`, field by field.
pub fn merge(object: &mut Value, over: &Value) {
    match (object, over) {
        (Value::Object(object), Value::Object(over)) => {
            for (key, value) in over {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, over) => *object = over.clone(),
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn nats_section(ports: &Ports) -> Value {
    json!({ "url": format!("nats://{}", address(ports.nats)) })
}

fn engine_section(port: u16, password: &Password) -> Value {
    json!({ "url": url(port), "user": USER, "password": password.reveal() })
}

fn admin_section([health, metrics]: [u16; 2]) -> Value {
    json!({ "health_listen": address(health), "metrics_listen": address(metrics) })
}

pub(crate) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

pub(crate) fn url(port: u16) -> String {
    format!("http://{}", address(port))
}
