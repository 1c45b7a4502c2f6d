//! OKX's instrument types and the row that its lists have of each instrument.

use serde_json::{Value, json};

use crate::instrument::{Instrument, MarketType};
use crate::units::{decimal, plain};

/// `instType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstrumentType {
    Spot,
    Swap,
    Futures,
}

impl InstrumentType {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "SPOT" => Some(Self::Spot),
            "SWAP" => Some(Self::Swap),
            "FUTURES" => Some(Self::Futures),
            _ => None,
        }
    }

    pub(crate) fn of(instrument: &Instrument) -> Self {
        match instrument.market_type {
            MarketType::Spot => Self::Spot,
            MarketType::Perpetual => Self::Swap,
            MarketType::Futures | MarketType::Options => Self::Futures,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "SPOT",
            Self::Swap => "SWAP",
            Self::Futures => "FUTURES",
        }
    }
}

/// `BTC-USDT` of a swap or a future: its family and underlying.
pub(crate) fn family(instrument: &Instrument) -> String {
    format!("{}-{}", instrument.base, instrument.quote)
}

/// The row of the list. Numbers are strings; what does not apply is empty.
pub(crate) fn row(instrument: &Instrument, index: usize) -> Value {
    let is_spot = instrument.market_type == MarketType::Spot;
    let of_spot = |text: &str| if is_spot { text.to_owned() } else { String::new() };
    let of_contract = |text: String| if is_spot { String::new() } else { text };
    let tick = decimal(instrument.tick_units, instrument.price_decimals);
    let lot = decimal(instrument.step_units, instrument.quantity_decimals);
    let contract = instrument.contract();
    let inverse = contract.is_some_and(|contract| contract.inverse);
    let settle = if inverse { &instrument.base } else { &instrument.quote };
    let contract_currency = if inverse { &instrument.quote } else { &instrument.base };
    let kind = if inverse { "inverse" } else { "linear" };
    json!({
        "alias": "", "auctionEndTime": "", "baseCcy": of_spot(&instrument.base), "category": "1",
        "contTdSwTime": "", "ctMult": of_contract("1".to_owned()), "ctType": of_contract(kind.to_owned()),
        "ctVal": contract.map(|contract| contract.size().plain()).unwrap_or_default(),
        "ctValCcy": of_contract(contract_currency.clone()),
        "expTime": instrument.expiry.as_ref().map_or_else(String::new, |expiry| expiry.time_ms.to_string()),
        "futureSettlement": false, "groupId": "1", "instCategory": "1",
        "instFamily": of_contract(family(instrument)), "instId": instrument.instrument_id,
        "instIdCode": 20_000 + index, "instType": InstrumentType::of(instrument).as_str(), "lever": "50",
        "listTime": "1606468572000", "lotSz": plain(&lot), "maxLmtSz": "9999999999", "maxMktSz": "1000000",
        "minSz": plain(&lot), "openType": "", "optType": "", "quoteCcy": of_spot(&instrument.quote),
        "ruleType": "normal", "settleCcy": of_contract(settle.clone()), "state": "live", "stk": "",
        "tickSz": plain(&tick), "tradeQuoteCcyList": [], "uly": of_contract(family(instrument)), "upcChg": [],
    })
}

/// A row that announces an instrument: sizes are not known yet. Clients that read numbers here are found out.
pub(crate) fn announced_row(instrument_type: InstrumentType) -> Value {
    let instrument_id = match instrument_type {
        InstrumentType::Spot => "SOON-USDT",
        InstrumentType::Swap => "SOON-USDT-SWAP",
        InstrumentType::Futures => "SOON-USDT-270326",
    };
    json!({
        "alias": "", "baseCcy": "", "ctMult": "", "ctType": "", "ctVal": "", "ctValCcy": "", "expTime": "",
        "instFamily": "", "instId": instrument_id, "instIdCode": null, "instType": instrument_type.as_str(),
        "listTime": "", "lotSz": "", "minSz": "", "quoteCcy": "", "ruleType": "pre_market", "settleCcy": "",
        "state": "preopen", "tickSz": "", "uly": "",
    })
}
