//! What USDⓈ-M tells of contracts: mark price and funding, liquidations, open interest, ratios, dated contracts.

use marketprism_service::HumanDuration;
use serde_json::{Value, json};

use crate::client::Running;
use crate::control::read;

async fn simulator(ledger: &std::path::Path) -> Running {
    Running::start(|config| {
        config.ledger = Some(ledger.to_owned());
        config.cadence.mark_price = HumanDuration::from_millis(50);
        config.cadence.liquidation = HumanDuration::from_millis(50);
    })
    .await
}

#[tokio::test]
async fn mark_prices_and_liquidations_are_pushed_and_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = simulator(&ledger).await;
    let mut one = simulator.connect("/market/stream?streams=btcusdt@markPrice@1s/btcusdt@forceOrder").await;
    let (mut marks, mut orders) = (Vec::new(), Vec::new());
    while marks.len() < 5 || orders.is_empty() {
        let data = one.next().await.unwrap()["data"].clone();
        if data["e"] == "markPriceUpdate" { marks.push(data) } else { orders.push(data["o"].clone()) }
    }
    assert!(
        marks.iter().all(|mark| mark["T"].as_u64().unwrap() > mark["E"].as_u64().unwrap() && mark["st"] == 1)
    );
    let mut all = simulator.connect("/market/stream?streams=!forceOrder@arr/!markPrice@arr").await;
    let (mut arrays, mut own, mut foreign) = (0, 0, 0);
    while arrays == 0 || own == 0 || foreign == 0 {
        let frame = all.next().await.unwrap();
        if let Some(rows) = frame["data"].as_array() {
            let symbols: Vec<&str> = rows.iter().map(|row| row["s"].as_str().unwrap()).collect();
            assert_eq!(
                symbols,
                ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "币安人生USDT", "BTCUSDT_261225", "BTCUSD_PERP"]
            );
            assert_eq!((&rows[4]["r"], &rows[4]["T"], &rows[5]["st"]), (&json!(""), &json!(0), &json!(2)));
            arrays += 1;
        } else {
            let order = &frame["data"]["o"];
            own += u32::from(order["st"] == 1);
            foreign += u32::from(order["st"] == 2 && order["s"] == "BTCUSD_PERP");
        }
    }
    drop((one, all));
    simulator.stop().await;
    let lines = read(&ledger);
    let told = |data_type: &str, ts: &Value| {
        let ts = json!(ts.as_u64().unwrap() * 1000);
        let mut of =
            lines.iter().filter(|line| line["data_type"] == data_type && line["instrument_id"] == "BTCUSDT");
        of.find(|line| line["ts_event_us"] == ts).unwrap_or_else(|| panic!("no {data_type} of {ts}")).clone()
    };
    for mark in &marks {
        let line = told("funding_rate", &mark["E"]);
        assert_eq!(
            [&line["funding_rate"], &line["mark_price"], &line["index_price"]],
            [&mark["r"], &mark["p"], &mark["i"]]
        );
        assert_eq!(line["next_funding_time_us"].as_u64().unwrap(), mark["T"].as_u64().unwrap() * 1000);
    }
    for order in &orders {
        let line = told("liquidation", &order["T"]);
        assert_eq!(
            [&line["quantity"], &line["average_price"], &line["price"]],
            [&order["z"], &order["ap"], &order["p"]]
        );
        assert_eq!(line["side"] == "sell", order["S"] == "SELL");
    }
    assert!(lines.iter().all(|line| line["instrument_id"] != "BTCUSD_PERP"));
}

#[tokio::test]
async fn polled_statistics_are_answered_and_in_the_ledger_once() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.jsonl");
    let simulator = simulator(&ledger).await;
    let index = simulator.json("/fapi/v1/premiumIndex?symbol=BTCUSDT").await;
    assert!(index["lastFundingRate"].is_string() && index["nextFundingTime"].is_u64(), "{index}");
    assert_eq!(simulator.json("/fapi/v1/premiumIndex").await.as_array().unwrap().len(), 5);
    let info = simulator.json("/fapi/v1/fundingInfo").await;
    assert_eq!((&info[0]["symbol"], &info[0]["fundingIntervalHours"]), (&json!("1000PEPEUSDT"), &json!(4)));
    let interest = simulator.json("/fapi/v1/openInterest?symbol=BTCUSDT").await;
    let path = "/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=5m&limit=3";
    let rows = simulator.json(path).await;
    assert_eq!(simulator.json(path).await, rows, "a period has one ratio");
    let at = |index: usize| rows[index]["timestamp"].as_u64().unwrap();
    assert_eq!((at(1), at(2)), (at(0) + 300_000, at(0) + 600_000));
    let accounts =
        simulator.json("/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=5m&limit=1").await;
    assert_ne!(accounts[0]["longShortRatio"], rows[2]["longShortRatio"]);
    let history = simulator.json("/futures/data/openInterestHist?symbol=BTCUSDT&period=1h").await;
    assert_eq!(history.as_array().unwrap().len(), 30);
    for (query, status, code) in [
        ("topLongShortAccountRatio?symbol=BTCUSDT", 400, -1102),
        ("topLongShortAccountRatio?symbol=BTCUSDT&period=7m", 400, -1130),
        ("topLongShortAccountRatio?symbol=NOPE&period=5m", 400, -1121),
    ] {
        let answer = simulator.get(&format!("/futures/data/{query}")).await;
        assert_eq!(answer.status(), status, "{query}");
        assert!(!answer.headers().contains_key("x-mbx-used-weight-1m"), "its limit is another");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{query}");
    }
    let info = simulator.json("/fapi/v1/exchangeInfo").await;
    let dated =
        info["symbols"].as_array().unwrap().iter().find(|one| one["symbol"] == "BTCUSDT_261225").unwrap();
    assert_eq!(
        (&dated["contractType"], &dated["deliveryDate"]),
        (&json!("CURRENT_QUARTER"), &json!(1_798_185_600_000_u64))
    );
    simulator.stop().await;
    let lines = read(&ledger);
    let of = |data_type: &str| lines.iter().filter(|line| line["data_type"] == data_type).collect::<Vec<_>>();
    let ratios = of("lsr_top_position");
    assert_eq!(ratios.len(), 3);
    for (line, row) in ratios.iter().zip(rows.as_array().unwrap()) {
        assert_eq!((&line["long_ratio"], &line["source"]), (&row["longAccount"], &json!("rest")));
    }
    assert_eq!(of("lsr_all_account")[0]["short_ratio"], accounts[0]["shortAccount"]);
    assert_eq!(of("open_interest")[0]["open_interest_base"], interest["openInterest"]);
}
