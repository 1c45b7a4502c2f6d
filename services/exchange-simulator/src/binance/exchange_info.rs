//! `exchangeInfo`: what is listed, with tick and step in the filters. A replay answers the capture's own body.

use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::exchange::{Exchange, Source};
use crate::instrument::{Instrument, MarketType};
use crate::units::decimal;

/// Listed but not traded, so that a client that ignores `status` is found out.
const HALTED_BASE: &str = "LUNA";

/// The body for one market.
pub(crate) fn body(exchange: &Exchange, market_type: MarketType) -> String {
    if let Source::Replay(gate) = &exchange.source
        && let Some(captured) = gate.exchange_info(market_type)
    {
        return captured.to_owned();
    }
    let instruments = exchange.catalogue.all().iter().filter(|one| one.market_type == market_type);
    let (weight, trading, halted) = match market_type {
        MarketType::Spot => (exchange.limits.spot_weight_per_minute, "TRADING", "BREAK"),
        MarketType::Perpetual => (exchange.limits.usdm_weight_per_minute, "TRADING", "SETTLING"),
    };
    let mut symbols: Vec<Value> = instruments.map(|one| symbol(one, trading)).collect();
    symbols.push(symbol(&halted_instrument(market_type), halted));
    json!({
        "timezone": "UTC",
        "serverTime": now_ms(),
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight },
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    })
    .to_string()
}

fn symbol(instrument: &Instrument, status: &str) -> Value {
    let tick = decimal(instrument.tick_units, instrument.price_decimals);
    let step = decimal(instrument.step_units, instrument.quantity_decimals);
    let filters = json!([
        { "filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000", "tickSize": tick },
        { "filterType": "LOT_SIZE", "minQty": step, "maxQty": "900000000", "stepSize": step },
    ]);
    match instrument.market_type {
        MarketType::Spot => json!({
            "symbol": instrument.instrument_id, "status": status,
            "baseAsset": instrument.base, "baseAssetPrecision": 8,
            "quoteAsset": instrument.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
            "filters": filters, "permissions": [], "permissionSets": [["SPOT"]],
        }),
        MarketType::Perpetual => json!({
            "symbol": instrument.instrument_id, "pair": instrument.instrument_id,
            "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000_i64, "onboardDate": 1_569_398_400_000_i64,
            "status": status, "baseAsset": instrument.base, "quoteAsset": instrument.quote,
            "marginAsset": instrument.quote, "pricePrecision": instrument.price_decimals,
            "quantityPrecision": instrument.quantity_decimals, "baseAssetPrecision": 8, "quotePrecision": 8,
            "underlyingType": "COIN", "filters": filters, "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC"],
        }),
    }
}

fn halted_instrument(market_type: MarketType) -> Instrument {
    Instrument {
        market_type,
        instrument_id: format!("{HALTED_BASE}USDT"),
        base: HALTED_BASE.to_owned(),
        quote: "USDT".to_owned(),
        tick_units: 1,
        price_decimals: 4,
        step_units: 1,
        quantity_decimals: 2,
        start_ticks: 0,
        usual_steps: 0,
        weight: 0,
    }
}
