//! A client of the simulated Deribit: calls with ids, notifications by channel.

use std::collections::BTreeMap;

use marketprism_exchange_simulator::{Market, SimulatorConfig};
use serde_json::{Value, json};

use crate::client::{Running, Socket};

/// Deribit alone, quick.
pub(crate) async fn start(change: impl FnOnce(&mut SimulatorConfig)) -> Running {
    Running::start(|config| {
        config.markets = vec![Market::Deribit];
        config.rate = 2_000;
        change(config);
    })
    .await
}

/// A socket that speaks JSON-RPC.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    calls: u64,
}

impl Client {
    pub(crate) async fn connect(simulator: &Running) -> Self {
        Self { socket: simulator.connect("/ws/api/v2").await, calls: 0 }
    }

    /// The whole answer; notifications before it are lost.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.socket.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        self.socket.until(|frame| frame["id"] == id).await
    }

    /// The channels that the exchange acknowledged.
    pub(crate) async fn subscribe(&mut self, channels: &[&str]) -> Value {
        self.call("public/subscribe", json!({ "channels": channels })).await["result"].clone()
    }

    /// The data of the next notification of a channel; others before it are lost.
    pub(crate) async fn next_of(&mut self, channel: &str) -> Value {
        let frame = self.socket.until(|frame| frame["params"]["channel"] == channel).await;
        frame["params"]["data"].clone()
    }
}

/// One book made of its channel, keyed by the bits of the price: they order as positive prices do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Book {
    pub(crate) change_id: u64,
    pub(crate) bids: BTreeMap<u64, f64>,
    pub(crate) asks: BTreeMap<u64, f64>,
}

impl Book {
    /// Applies a message of the channel; false when it does not follow.
    pub(crate) fn apply(&mut self, data: &Value) -> bool {
        if data["type"] == "snapshot" {
            assert!(data.get("prev_change_id").is_none(), "a snapshot follows nothing");
            *self = Self::default();
        } else if data["prev_change_id"].as_u64().unwrap() != self.change_id {
            return false;
        }
        self.change_id = data["change_id"].as_u64().unwrap();
        for (name, side) in [("bids", &mut self.bids), ("asks", &mut self.asks)] {
            for level in data[name].as_array().unwrap() {
                let price = level[1].as_f64().unwrap().to_bits();
                if level[0] == "delete" {
                    assert_eq!(level[2].as_f64(), Some(0.0));
                    side.remove(&price);
                } else {
                    side.insert(price, level[2].as_f64().unwrap());
                }
            }
        }
        true
    }

    /// The book of `get_order_book`.
    pub(crate) fn of_rest(result: &Value) -> Self {
        let side = |name: &str| {
            let levels = result[name].as_array().unwrap().iter();
            levels.map(|level| (level[0].as_f64().unwrap().to_bits(), level[1].as_f64().unwrap())).collect()
        };
        Self { change_id: result["change_id"].as_u64().unwrap(), bids: side("bids"), asks: side("asks") }
    }
}
