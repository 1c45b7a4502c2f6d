//! `exchangeInfo`: what is listed, with tick and step in the filters. A replay answers the capture's own body.

use serde_json::{Value, json};

use super::listing::pair;
use super::product::Product;
use crate::exchange::Exchange;
use crate::hub::{Hub, Source};
use crate::instrument::Instrument;
use crate::units::decimal;

/// Listed but not traded, so that a client that ignores `status` is found out.
const HALTED_BASE: &str = "LUNA";

/// The body for one market.
pub(crate) fn body(hub: &Hub, product: Product) -> String {
    if let Source::Replay(gate) = &hub.source
        && let Some(captured) = gate.exchange_info(product)
    {
        return captured.to_owned();
    }
    let instruments = hub.catalogue.of(product.market()).map(|(_, instrument)| instrument);
    let (weight, trading, halted) = match product {
        Product::Spot => (hub.limits.spot_weight_per_minute, "TRADING", "BREAK"),
        Product::Usdm => (hub.limits.usdm_weight_per_minute, "TRADING", "SETTLING"),
    };
    let mut symbols: Vec<Value> = instruments.map(|one| symbol(one, trading)).collect();
    symbols.push(symbol(&halted_instrument(product), halted));
    json!({
        "timezone": "UTC",
        "serverTime": hub.now_ms(Exchange::Binance),
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
    // A perpetual has a delivery date, too: in the year 2100.
    let (contract_type, delivery_ms) = match &instrument.expiry {
        Some(expiry) => ("CURRENT_QUARTER", expiry.time_ms),
        None => ("PERPETUAL", 4_133_404_800_000),
    };
    match Product::of(instrument) {
        Product::Spot => json!({
            "symbol": instrument.instrument_id, "status": status,
            "baseAsset": instrument.base, "baseAssetPrecision": 8,
            "quoteAsset": instrument.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
            "filters": filters, "permissions": [], "permissionSets": [["SPOT"]],
        }),
        Product::Usdm => json!({
            "symbol": instrument.instrument_id, "pair": format!("{}{}", instrument.base, instrument.quote),
            "contractType": contract_type, "deliveryDate": delivery_ms, "onboardDate": 1_569_398_400_000_i64,
            "status": status, "baseAsset": instrument.base, "quoteAsset": instrument.quote,
            "marginAsset": instrument.quote, "pricePrecision": instrument.price_decimals,
            "quantityPrecision": instrument.quantity_decimals, "baseAssetPrecision": 8, "quotePrecision": 8,
            "underlyingType": "COIN", "filters": filters, "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC"],
        }),
    }
}

fn halted_instrument(product: Product) -> Instrument {
    pair(product, &(HALTED_BASE, (1, 4), (1, 2), 0, 0, 0))
}
