//! Reads `exchangeInfo`: what trades now. Base and quote come from the metadata, never from the name.

use marketprism_core::{Instrument, MarketType, Timestamp};
use serde::{Deserialize, Deserializer};

use super::EXCHANGE;
use crate::session::Rejected;
use crate::{decode, expiry};

/// ```json
/// {"timezone":"UTC","symbols":[{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC", …}]}
/// ```
#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<Symbol>,
}

/// USDⓈ-M adds `"contractType":"CURRENT_QUARTER","deliveryDate":1798185600000`; what never ends is delivered in 2100.
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
    #[serde(rename = "deliveryDate", default, deserialize_with = "millis_if_told")]
    delivery: Option<Timestamp>,
}

/// Spot symbols that trade.
pub(super) fn spot(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    trading(body, |symbol| {
        Instrument::pair(EXCHANGE, MarketType::Spot, &symbol.base, &symbol.quote, &symbol.symbol).ok()
    })
}

/// Perpetual and dated contracts that trade.
pub(super) fn usdm(body: &[u8]) -> Result<Vec<Instrument>, Rejected> {
    trading(body, |symbol| {
        let Symbol { symbol: id, base, quote, contract, delivery, .. } = symbol;
        match contract.as_str() {
            "PERPETUAL" | "TRADIFI_PERPETUAL" => {
                Instrument::pair(EXCHANGE, MarketType::Perpetual, base, quote, id).ok()
            }
            "CURRENT_MONTH" | "NEXT_MONTH" | "CURRENT_QUARTER" | "NEXT_QUARTER" => {
                let symbol = format!("{base}-{quote}-{}", expiry::day((*delivery)?)).to_uppercase();
                Instrument::new(EXCHANGE, MarketType::Futures, symbol, id).ok()
            }
            _ => None,
        }
    })
}

/// A name no subject can carry is left out: whoever configured it is told that it is not listed.
fn trading(
    body: &[u8],
    instrument: impl Fn(&Symbol) -> Option<Instrument>,
) -> Result<Vec<Instrument>, Rejected> {
    let info: ExchangeInfo = decode::from_slice(body)?;
    Ok(info.symbols.iter().filter(|symbol| symbol.status == "TRADING").filter_map(instrument).collect())
}

fn millis_if_told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    decode::millis(deserializer).map(Some)
}
