//! What changes while the collector runs: symbols and exchanges by configuration and by order, instruments by the exchange.
//! The other streams never notice.

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::{Value, json};

use crate::forward_proxy::ForwardProxy;
use crate::rig::{DEADLINE, Rig};

/// Spot alone, of three symbols the first.
async fn one_of_three(change: impl FnOnce(&mut Value)) -> Rig {
    let spot = json!({ "binance_spot": { "symbols": ["BTC-USDT"] } });
    let rig = Rig::launch(&["--rate", "300", "--symbols", "3"], spot, change).await;
    rig.flowing().await;
    rig
}

/// Waits until the collector has exactly these symbols, each with all its streams live.
async fn collected(rig: &Rig, symbols: &[&str]) {
    poll_until(DEADLINE, &format!("{symbols:?} are live"), async || {
        let page = rig.streams("").await;
        let streams = page["streams"].as_array().unwrap();
        let mut found: Vec<_> = streams.iter().map(|stream| stream["symbol"].as_str().unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        found == symbols && streams.iter().all(|stream| stream["state"] == "live")
    })
    .await;
}

async fn usdm_is_live(rig: &Rig, streams: usize) {
    poll_until(DEADLINE, "as many streams of usdm are live", async || {
        let page = rig.streams("?exchange=binance_usdm&state=live").await;
        page["streams"].as_array().unwrap().len() == streams
    })
    .await;
}

/// Nothing happened to the stream that was there from the beginning to the end.
async fn assert_btc_never_noticed(rig: Rig) {
    assert_eq!(rig.metric("marketprism_collector_disconnects_total").await, 0);
    let stored = rig.finish().await;
    assert!(stored.status.success(), "{}", stored.log);
    let of_btc = |message: &&Value| message["symbol"] == "BTC-USDT";
    assert_eq!(stored.of(DataType::Gap).filter(of_btc).count(), 0);
    let mut ids: Vec<u64> = stored
        .of(DataType::Trade)
        .filter(of_btc)
        .map(|trade| trade["trade_id"].as_str().unwrap().parse().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "none twice");
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "no hole");
    let sent = stored.ledger.iter().filter(|line| line["data_type"] == "orderbook" && of_btc(line)).count();
    let books = stored.of(DataType::OrderBook).filter(of_btc);
    let contained: u64 = books.map(|book| book["update_count"].as_u64().unwrap()).sum();
    assert_eq!(contained, sent as u64);
}

#[tokio::test]
async fn sighup_takes_new_symbols_and_leaves_others() {
    let mut rig = one_of_three(|_| {}).await;
    rig.rewrite(|config| config["exchanges"]["binance_spot"]["symbols"] = json!(["*-USDT"]));
    rig.collector.hang_up();
    collected(&rig, &["BTC-USDT", "ETH-USDT", "PEPE-USDT"]).await;
    rig.rewrite(|config| config["exchanges"]["binance_spot"]["exclude"] = json!(["ETH-*", "PEPE-USDT"]));
    rig.collector.hang_up();
    collected(&rig, &["BTC-USDT"]).await;
    assert_btc_never_noticed(rig).await;
}

#[tokio::test]
async fn a_reload_that_cannot_be_applied_as_a_whole_changes_nothing_and_says_why() {
    let mut rig = one_of_three(|_| {}).await;
    for (change, named) in [
        (json!({ "symbols": ["ETH-USDT"], "dept": 5 }), "exchanges.binance_spot.dept"),
        (json!({ "symbols": ["ETH-USDT", "NOPE-USDT"] }), "binance_spot does not list NOPE-USDT"),
    ] {
        rig.rewrite(|config| {
            let spot = config["exchanges"]["binance_spot"].as_object_mut().unwrap();
            spot.remove("dept");
            spot.extend(change.as_object().unwrap().clone());
        });
        let answer = rig.order("reload", &json!(null)).await;
        assert_eq!(answer["ok"], false);
        assert!(answer["error"].as_str().unwrap().contains(named), "{answer}");
        rig.collector.hang_up();
    }
    rig.logged("not reloaded", 1).await;
    collected(&rig, &["BTC-USDT"]).await;
    assert_btc_never_noticed(rig).await;
}

#[tokio::test]
async fn orders_are_obeyed_and_answered() {
    let mut rig = one_of_three(|_| {}).await;
    let eth = json!({ "exchange": "binance_spot", "symbols": ["ETH-USDT"] });
    let answer = rig.order("subscribe", &eth).await;
    assert_eq!(answer["done"]["symbols"]["binance_spot"], json!({ "added": ["ETH-USDT"], "removed": [] }));
    collected(&rig, &["BTC-USDT", "ETH-USDT"]).await;

    let book = json!({ "exchange": "binance_spot", "market_type": "spot", "symbol": "ETH-USDT" });
    let resyncs = rig.metric("marketprism_collector_orderbook_resyncs_total").await;
    assert_eq!(rig.order("resync", &book).await["ok"], true);
    assert_eq!(rig.metric("marketprism_collector_orderbook_resyncs_total").await, resyncs + 1);
    collected(&rig, &["BTC-USDT", "ETH-USDT"]).await;

    let answer = rig.order("unsubscribe", &eth).await;
    assert_eq!(answer["done"]["symbols"]["binance_spot"], json!({ "added": [], "removed": ["ETH-USDT"] }));
    collected(&rig, &["BTC-USDT"]).await;

    let btc = json!({ "exchange": "binance_spot", "symbols": ["BTC-USDT"] });
    for (order, body, named) in [
        ("resync", book, "keeps no order book of spot ETH-USDT"),
        ("unsubscribe", btc, "exchanges.binance_spot.symbols"),
        ("subscribe", json!({ "exchange": "binance_usdm", "symbols": ["X-Y"] }), "binance_usdm"),
        ("subscribe", json!({ "exchange": "binance_spot", "symbols": ["X-Y"] }), "does not list X-Y"),
        ("subscribe", json!({ "exchange": "binance_spot" }), "symbols"),
        ("reboot", json!(null), "reboot"),
    ] {
        let answer = rig.order(order, &body).await;
        assert_eq!(answer["ok"], false, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(named), "{answer}");
    }
    // What orders changed ends with the next reload.
    rig.rewrite(|_| {});
    assert_eq!(rig.order("reload", &json!(null)).await["ok"], true);
    assert_btc_never_noticed(rig).await;
}

#[tokio::test]
async fn exchanges_are_started_restarted_and_stopped_and_other_keys_are_named() {
    let mut rig = one_of_three(|config| config["exchanges"]["binance_usdm"]["enabled"] = json!(false)).await;
    rig.rewrite(|config| {
        let mut usdm = config["exchanges"]["binance_spot"].clone();
        usdm["data_types"] = json!(["trade"]);
        config["exchanges"]["binance_usdm"] = usdm;
        config["wait"] = json!("7s");
    });
    let done = rig.order("reload", &json!(null)).await["done"].clone();
    assert_eq!((&done["started"], &done["needs_restart"]), (&json!(["binance_usdm"]), &json!(["wait"])));
    usdm_is_live(&rig, 1).await;
    rig.rewrite(|config| config["exchanges"]["binance_usdm"]["data_types"] = json!(["trade", "orderbook"]));
    let done = rig.order("reload", &json!(null)).await["done"].clone();
    assert_eq!(done["restarted"], json!(["binance_usdm"]));
    usdm_is_live(&rig, 2).await;
    rig.rewrite(|config| config["exchanges"]["binance_usdm"]["enabled"] = json!(false));
    let done = rig.order("reload", &json!(null)).await["done"].clone();
    assert_eq!(done["stopped"], json!(["binance_usdm"]));
    usdm_is_live(&rig, 0).await;
    rig.flowing().await;
}

#[tokio::test]
async fn instruments_join_when_they_are_listed_and_leave_when_they_are_delisted() {
    let rig = one_of_three(|config| {
        config["exchanges"]["binance_spot"]["symbols"] = json!(["*-USDT"]);
        config["exchanges"]["binance_spot"]["instruments_refresh"] = json!("1s");
    })
    .await;
    collected(&rig, &["BTC-USDT", "ETH-USDT", "PEPE-USDT"]).await;
    rig.control("list", &json!({ "exchange": "binance", "instrument_id": "SOLUSDT" })).await;
    collected(&rig, &["BTC-USDT", "ETH-USDT", "PEPE-USDT", "SOL-USDT"]).await;
    rig.control("delist", &json!({ "exchange": "binance", "instrument_id": "ETHUSDT" })).await;
    collected(&rig, &["BTC-USDT", "PEPE-USDT", "SOL-USDT"]).await;
    assert!(rig.collector.log().contains("instruments changed"));
    assert_btc_never_noticed(rig).await;
}

/// Binance refuses this address on spot, for ten minutes as it says; in truth it would answer again.
async fn refused(rig: &Rig, status: u16) {
    let refusal = |for_ms: u64| {
        json!({
            "fault": "rate_limit", "status": status, "market_type": "spot", "for_ms": for_ms, "retry_after_seconds": 600,
        })
    };
    rig.control("fault", &refusal(600_000)).await;
    rig.control("fault", &json!({ "fault": "disconnect", "market_type": "spot" })).await;
    poll_until(DEADLINE, "the exchange is off", async || {
        rig.health().await["checks"]["exchanges"].to_string().contains(&status.to_string())
    })
    .await;
    rig.control("fault", &refusal(0)).await;
}

#[tokio::test]
async fn an_exchange_that_refused_us_is_tried_at_once_when_it_is_enabled_anew_or_reached_another_way() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    refused(&rig, 451).await;
    for (is_enabled, done) in [(false, "stopped"), (true, "started")] {
        rig.rewrite(|config| config["exchanges"]["binance_spot"]["enabled"] = json!(is_enabled));
        let answer = rig.order("reload", &json!(null)).await;
        assert_eq!(answer["done"][done], json!(["binance_spot"]), "{answer}");
    }
    rig.flowing().await;

    refused(&rig, 403).await;
    let proxy = ForwardProxy::start().await;
    rig.rewrite(|config| config["proxy"] = json!(proxy.url("user", "secret")));
    let answer = rig.order("reload", &json!(null)).await;
    // Both: here they are one host, which has refused one address of ours.
    assert_eq!(answer["done"]["restarted"], json!(["binance_spot", "binance_usdm"]), "{answer}");
    rig.flowing().await;
    assert!(proxy.requests() > 0);
    rig.more_of_everything().await;
    rig.finish().await.assert_trades_are_whole_or_declared();
}
