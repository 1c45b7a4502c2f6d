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
fn usdm_takes_perpetuals_only() {
    let symbol = |symbol: &str, contract: &str, status: &str| json!({"symbol": symbol, "contractType": contract, "status": status, "baseAsset": "BTC", "quoteAsset": "USDT"});
    let body = json!({"symbols": [
        symbol("BTCUSDT", "PERPETUAL", "TRADING"),
        symbol("TSLAUSDT", "TRADIFI_PERPETUAL", "TRADING"),
        symbol("BTCUSDT_261225", "CURRENT_QUARTER", "TRADING"),
        symbol("OLDUSDT", "PERPETUAL", "SETTLING"),
    ]});
    let usdm = registry::find("binance_usdm").unwrap();
    let instruments = (usdm.instruments)(body.to_string().as_bytes()).unwrap();
    let ids: Vec<_> = instruments.iter().map(|instrument| instrument.instrument_id.as_str()).collect();
    assert_eq!(ids, ["BTCUSDT", "TSLAUSDT"]);
    assert!(instruments.iter().all(|instrument| instrument.market_type == MarketType::Perpetual));
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
