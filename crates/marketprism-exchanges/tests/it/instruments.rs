//! The instrument lists.

use marketprism_core::MarketType;
use marketprism_exchanges::registry;
use serde_json::json;

#[test]
fn spot_takes_what_trades_and_names_it_by_its_metadata() {
    let body = json!({"timezone": "UTC", "rateLimits": [], "symbols": [
        {"symbol": "ETHBTC", "status": "TRADING", "baseAsset": "ETH", "quoteAsset": "BTC", "filters": []},
        {"symbol": "OLDBTC", "status": "BREAK", "baseAsset": "OLD", "quoteAsset": "BTC"},
        {"symbol": "NEWBTC", "status": "SOMETHING_NEW", "baseAsset": "NEW", "quoteAsset": "BTC"},
        {"symbol": "这是测试币456", "status": "TRADING", "baseAsset": "这是测试币", "quoteAsset": "456"},
        {"symbol": "1000SATSUSDT", "status": "TRADING", "baseAsset": "1000SATS", "quoteAsset": "USDT"},
        {"symbol": "X", "status": "TRADING", "baseAsset": "X".repeat(200), "quoteAsset": "USDT"},
    ]});
    let spot = registry::find("binance_spot").unwrap();
    let instruments = (spot.instruments)(body.to_string().as_bytes()).unwrap();
    let symbols: Vec<_> = instruments.iter().map(|instrument| instrument.symbol.as_str()).collect();
    assert_eq!(symbols, ["ETH-BTC", "这是测试币-456", "1000SATS-USDT"]);
    assert_eq!(instruments[0].instrument_id, "ETHBTC");
    assert_eq!(instruments[0].market_type, MarketType::Spot);
}

#[test]
fn usdm_takes_perpetual_and_dated_contracts_that_trade() {
    let symbol = |symbol: &str, contract: &str, status: &str, delivery: i64| {
        json!({"symbol": symbol, "contractType": contract,
        "status": status, "baseAsset": "BTC", "quoteAsset": "USDT", "deliveryDate": delivery})
    };
    const NEVER: i64 = 4_133_404_800_000;
    let body = json!({"symbols": [
        symbol("BTCUSDT", "PERPETUAL", "TRADING", NEVER),
        symbol("TSLAUSDT", "TRADIFI_PERPETUAL", "TRADING", NEVER),
        // 2026-12-25 08:00 UTC.
        symbol("BTCUSDT_261225", "CURRENT_QUARTER", "TRADING", 1_798_185_600_000),
        symbol("OLDUSDT", "PERPETUAL", "SETTLING", NEVER),
        symbol("NEWUSDT", "SOMETHING_NEW", "TRADING", NEVER),
    ]});
    let usdm = registry::find("binance_usdm").unwrap();
    let instruments = (usdm.instruments)(body.to_string().as_bytes()).unwrap();
    let told: Vec<_> = instruments
        .iter()
        .map(|instrument| {
            (instrument.market_type, instrument.symbol.as_str(), instrument.instrument_id.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (MarketType::Perpetual, "BTC-USDT", "BTCUSDT"),
            (MarketType::Perpetual, "BTC-USDT", "TSLAUSDT"),
            (MarketType::Futures, "BTC-USDT-20261225", "BTCUSDT_261225"),
        ]
    );
    assert!(instruments.iter().all(|instrument| instrument.contract.is_none()), "it trades base units");
}

#[test]
fn a_list_that_is_none_says_why() {
    let spot = registry::find("binance_spot").unwrap();
    let rejected = (spot.instruments)(br#"{"code":-1121,"msg":"Invalid symbol."}"#).unwrap_err();
    assert!(rejected.detail.contains("missing field `symbols`"), "{rejected}");
    let rejected = (spot.instruments)(br#"{"symbols":[{"symbol":7}]}"#).unwrap_err();
    assert!(rejected.detail.contains("field `symbols[0].symbol`"), "{rejected}");
    assert_eq!((spot.instruments)(b"<html>").unwrap_err().reason, "not_json");
}
