//! An instrument: what one exchange trades under one id, and the canonical name we give it.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::data_type::MarketType;

/// Longest exchange token; real ones have 2 to 12 characters.
pub const EXCHANGE_BYTES_MAX: usize = 32;
/// Longest canonical symbol in bytes; the longest seen (a Deribit option on a USDC pair) has 34.
pub const SYMBOL_BYTES_MAX: usize = 96;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} `{value}` {reason}")]
pub struct InstrumentError {
    /// `exchange`, `symbol` or `instrument_id`.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One instrument of one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Lower-case token, such as `binance`.
    pub exchange: String,
    /// Where it trades.
    pub market_type: MarketType,
    /// Canonical `BASE-QUOTE[-YYYYMMDD[-STRIKE-C|P]]`, upper case.
    pub symbol: String,
    /// The exchange's own name, such as `BTCUSDT`.
    pub instrument_id: String,
    /// What one contract is; `None` where the exchange trades base units.
    pub contract: Option<Contract>,
}

impl Instrument {
    /// An instrument whose canonical symbol is `BASE-QUOTE`, from the exchange's own metadata.
    ///
    /// # Errors
    /// When a name is empty, too long, or not what subjects can carry.
    pub fn pair(
        exchange: &str,
        market_type: MarketType,
        base: &str,
        quote: &str,
        instrument_id: &str,
    ) -> Result<Self, InstrumentError> {
        let symbol = format!("{}-{}", base.to_uppercase(), quote.to_uppercase());
        Self::new(exchange, market_type, symbol, instrument_id)
    }

    /// An instrument under any canonical symbol, see the field `symbol`.
    ///
    /// # Errors
    /// When a name is empty, too long, or not what subjects can carry.
    pub fn new(
        exchange: &str,
        market_type: MarketType,
        symbol: String,
        instrument_id: &str,
    ) -> Result<Self, InstrumentError> {
        check_exchange(exchange)?;
        check_symbol(&symbol)?;
        check_text("instrument_id", instrument_id, SYMBOL_BYTES_MAX)?;
        Ok(Self {
            exchange: exchange.to_owned(),
            market_type,
            symbol,
            instrument_id: instrument_id.to_owned(),
            contract: None,
        })
    }
}

/// Checks an exchange token: `[a-z0-9_]`, 1 to 32 characters. The set of exchanges is open.
///
/// # Errors
/// With the token and the reason.
pub fn check_exchange(exchange: &str) -> Result<(), InstrumentError> {
    check_text("exchange", exchange, EXCHANGE_BYTES_MAX)?;
    if exchange.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(());
    }
    Err(refuse("exchange", exchange, "is not a token of a-z, 0-9 and _"))
}

/// Checks a canonical symbol: 1 to 96 bytes, no lower-case ASCII letters.
///
/// # Errors
/// With the symbol and the reason.
pub fn check_symbol(symbol: &str) -> Result<(), InstrumentError> {
    check_text("symbol", symbol, SYMBOL_BYTES_MAX)?;
    if symbol.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(refuse("symbol", symbol, "is not upper case"));
    }
    Ok(())
}

fn check_text(field: &'static str, value: &str, bytes_max: usize) -> Result<(), InstrumentError> {
    if value.is_empty() {
        return Err(refuse(field, value, "is empty"));
    }
    if value.len() > bytes_max {
        return Err(refuse(field, value, "is too long"));
    }
    Ok(())
}

fn refuse(field: &'static str, value: &str, reason: &'static str) -> InstrumentError {
    InstrumentError { field, value: value.chars().take(SYMBOL_BYTES_MAX).collect(), reason }
}
