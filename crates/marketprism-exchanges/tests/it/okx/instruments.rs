//! Instrument lists and the paths of connections.

use marketprism_core::{ContractUnit, DataType, MarketType};
use marketprism_exchanges::registry::{self, BookMode, SessionOptions};
use serde_json::{Value, json};

use crate::driver::options;

/// A row as the exchange writes it: what does not apply is an empty text.
fn row(overrides: &Value) -> Value {
    let mut row = json!({
        "alias": "", "baseCcy": "", "category": "1", "ctMult": "", "ctType": "", "ctVal": "", "ctValCcy": "", "expTime": "",
        "instFamily": "", "instId": "", "instIdCode": null, "instType": "", "lotSz": "1", "quoteCcy": "", "ruleType": "normal",
        "settleCcy": "", "state": "live", "tickSz": "0.1", "uly": "", "upcChg": []
    });
    for (field, value) in overrides.as_object().unwrap() {
        row[field] = value.clone();
    }
    row
}

fn swap(id: &str, family: &str, value: &str, multiplier: &str, currency: &str, kind: &str) -> Value {
    row(&json!({
        "instType": "SWAP", "instId": id, "uly": "BTC-USD", "instFamily": family, "ctVal": value, "ctMult": multiplier,
        "ctValCcy": currency, "ctType": kind
    }))
}

#[test]
fn names_and_contracts_come_from_the_metadata() {
    let dated = |id: &str, expiry: &str| {
        row(&json!({
            "instType": "FUTURES", "instId": id, "uly": "BTC-USDT", "instFamily": "BTC-USDT", "ctVal": "0.01", "ctMult": "1",
            "ctValCcy": "BTC", "ctType": "linear", "expTime": expiry
        }))
    };
    let rows = vec![
        row(&json!({"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT"})),
        row(
            &json!({"instType": "SPOT", "instId": "NEW-USDT", "baseCcy": "NEW", "quoteCcy": "USDT", "state": "preopen", "tickSz": ""}),
        ),
        swap("BTC-USD-SWAP", "BTC-USD", "100", "1", "USD", "inverse"),
        swap("BTC-USD_UM-SWAP", "BTC-USD_UM", "0.001", "10", "BTC", "linear"),
        swap("BTC-USD_QM-SWAP", "BTC-USD_QM", "5", "", "USD", "linear"),
        swap("OLD-USD-SWAP", "", "1", "1", "USD", "inverse"),
        swap("ODD-USD-SWAP", "ODD-USD", "", "1", "USD", "inverse"),
        // 2026-12-25 08:00 UTC.
        dated("BTC-USDT-261225", "1798185600000"),
        dated("BTC-USDT-999999", ""),
        row(&json!({"instType": "EVENTS", "instId": "RAIN-TOMORROW"})),
        json!({"instId": "a row of another shape"}),
    ];
    let body = json!({"code": "0", "msg": "", "data": rows}).to_string();
    let read = registry::find("okx_swap").unwrap().instruments;
    let listed: Vec<_> = read(body.as_bytes())
        .unwrap()
        .into_iter()
        .map(|found| {
            let contract = found.contract.map(|contract| (contract.size.to_string(), contract.unit));
            (found.instrument_id, found.market_type, found.symbol, contract)
        })
        .collect();
    let wanted = |id: &str, market_type, symbol: &str, contract: Option<(&str, ContractUnit)>| {
        (id.to_owned(), market_type, symbol.to_owned(), contract.map(|(size, unit)| (size.to_owned(), unit)))
    };
    use ContractUnit::{Base, Quote};
    let perpetual = MarketType::Perpetual;
    assert_eq!(
        listed,
        [
            wanted("BTC-USDT", MarketType::Spot, "BTC-USDT", None),
            wanted("BTC-USD-SWAP", perpetual, "BTC-USD", Some(("100", Quote))),
            wanted("BTC-USD_UM-SWAP", perpetual, "BTC-USD_UM", Some(("0.010", Base))),
            wanted("BTC-USD_QM-SWAP", perpetual, "BTC-USD_QM", Some(("5", Quote))),
            wanted("OLD-USD-SWAP", perpetual, "BTC-USD", Some(("1", Quote))),
            wanted("BTC-USDT-261225", MarketType::Futures, "BTC-USDT-20261225", Some(("0.01", Base))),
        ]
    );
}

#[test]
fn a_refused_list_says_why() {
    let read = registry::find("okx_spot").unwrap().instruments;
    for (body, detail) in [
        (
            r#"{"code":"51000","msg":"Parameter instType error","data":[]}"#,
            "code 51000: Parameter instType error",
        ),
        (r#"{"code":"0","msg":""}"#, "`data`: missing"),
        (r#"{"code":"0","msg":"","data":[{"instId":"of another shape"}]}"#, "instType"),
        ("<html>", "expected value"),
    ] {
        let rejected = read(body.as_bytes()).unwrap_err();
        assert!(rejected.detail.contains(detail), "{rejected}");
    }
}

#[test]
fn what_is_polled_has_a_path_of_its_own() {
    use DataType::{FundingRate, LsrAllAccount, LsrTopPosition, OrderBook, Trade};
    let paths = |data_types: &[DataType], book_mode| {
        let options = SessionOptions { book_mode, ..options() };
        let paths = (registry::find("okx_swap").unwrap().paths)(data_types, &options);
        paths.into_iter().map(|path| (path.path, path.data_types)).collect::<Vec<_>>()
    };
    let all = [Trade, OrderBook, FundingRate, LsrTopPosition, LsrAllAccount];
    let public = Some("/ws/v5/public");
    assert_eq!(
        paths(&all, BookMode::Incremental),
        [(public, vec![Trade, OrderBook, FundingRate]), (None, vec![LsrTopPosition, LsrAllAccount])]
    );
    assert_eq!(
        paths(&all[..3], BookMode::Snapshot),
        [(public, vec![Trade, FundingRate]), (None, vec![OrderBook])]
    );
    assert_eq!(paths(&[Trade], BookMode::Incremental), [(public, vec![Trade])]);
}
