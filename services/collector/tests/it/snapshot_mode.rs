//! Order books that are polled: every market's flow, and how the requests for them go is counted.

use std::collections::BTreeSet;

use marketprism_core::DataType;
use marketprism_testkit::poll_until;
use serde_json::json;

use crate::rig::{DEADLINE, Rig, place};

const MARKETS: [&str; 5] = ["binance_spot", "binance_usdm", "okx_spot", "okx_swap", "deribit"];

#[tokio::test]
async fn polled_books_of_every_market_flow_and_their_requests_are_counted() {
    let arguments = ["--rate", "200", "--symbols", "1", "--markets", &MARKETS.join(",")];
    let exchange = |id: &str| (id.to_owned(), json!({ "symbols": ["BTC-*"], "data_types": ["orderbook"] }));
    let exchanges: serde_json::Map<_, _> = MARKETS.into_iter().map(exchange).collect();
    let rig = Rig::launch(&arguments, exchanges.into(), |config| {
        for id in MARKETS {
            config["exchanges"][id]["orderbook"] = json!({ "mode": "snapshot", "publish_interval": "1s" });
        }
    })
    .await;
    rig.flowing().await;
    let counted = async |exchange: &str, market_type: &str, status: &str| {
        let labels = format!("exchange=\"{exchange}\",market_type=\"{market_type}\",status=\"{status}\"");
        let name = format!("marketprism_snapshot_requests_total{{{labels}}}");
        let text = rig.metrics().await;
        text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse::<u64>().ok())
    };
    for (exchange, market_type) in [("binance", "spot"), ("okx", "perpetual"), ("deribit", "options")] {
        poll_until(DEADLINE, exchange, async || counted(exchange, market_type, "success").await > Some(0))
            .await;
        assert_eq!(counted(exchange, market_type, "error").await, Some(0), "{exchange}");
    }
    let text = rig.metrics().await;
    for name in ["marketprism_snapshot_request_duration_seconds_count", "marketprism_snapshot_timeouts_total"]
    {
        assert!(text.contains(name), "{name}");
    }
    // Binance alone, and of its markets spot, has trouble.
    let trouble = json!({
        "fault": "rate_limit", "exchange": "binance", "market_type": "spot", "for_ms": 2_000, "retry_after_seconds": 1,
    });
    rig.control("fault", &trouble).await;
    poll_until(DEADLINE, "the refusals are counted", async || {
        counted("binance", "spot", "error").await > Some(0)
    })
    .await;
    assert_eq!(counted("okx", "spot", "error").await, Some(0));
    rig.flowing().await;
    let stored = rig.finish().await;
    // Each one is a book that REST showed; there are no updates between them to miss.
    let polled: BTreeSet<_> = stored.of(DataType::OrderBook).map(place).collect();
    assert!(polled.len() >= MARKETS.len(), "{polled:?}");
    for book in stored.of(DataType::OrderBook) {
        assert_eq!((&book["source"], &book["is_snapshot_of"]), (&json!("rest"), &json!("top")), "{book}");
    }
    assert_eq!(stored.of(DataType::Gap).count(), 0);
}
