//! Reads `exchangeInfo`: what trades now. Base and quote come from the metadata, never from the name.

use marketprism_core::{Instrument, MarketType};
use serde::Deserialize;

use crate::decode;
use crate::session::Rejected;

/// ```json
/// {"timezone":"UTC","symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC", …}]}
/// ```
#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<Symbol>,
}

/// USDⓈ-M adds `"contractType":"PERPETUAL"`.
#[derive(Deserialize)]
struct Symbol {
    symbol: String,
    status: String,
    #[serde(rename = "baseAsset")]
    base: String,
    #[serde(rename = "quoteAsset")]
    quote: String,
    #[serde(rename = "contractType", default)]
    contract: String,
}

/// Spot symbols that trade.
pub(super) fn spot(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    trading(body, MarketType::Spot, |_| true)
}

/// Perpetual contracts that trade; dated contracts are another market type.
pub(super) fn usdm(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    trading(body, MarketType::Perpetual, |symbol| {
        matches!(symbol.contract.as_str(), "PERPETUAL" | "TRADIFI_PERPETUAL")
    })
}

fn trading(
    body: &[u8],
    market_type: MarketType,
    wanted: fn(&Symbol) -> bool,
) -> Result<Vec<Instrument>, Rejected> {
    let text = str::from_utf8(body).map_err(|error| Rejected::new("not_json", error))?;
    let info: ExchangeInfo = decode::from_str(text)?;
    let instruments = info
        .symbols
        .iter()
        .filter(|symbol| symbol.status == "TRADING" && wanted(symbol))
        // A name no subject can carry is left out: whoever configured it is told that it is not listed.
        .filter_map(|symbol| {
            Instrument::pair(super::EXCHANGE, market_type, &symbol.base, &symbol.quote, &symbol.symbol).ok()
        });
    Ok(instruments.collect())
}
