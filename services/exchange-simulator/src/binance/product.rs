//! Binance's two products here, which differ in paths, field names, limits and the rule of their update ids.

use crate::exchange::Market;
use crate::instrument::{Instrument, MarketType};

/// Spot or USDⓈ-M futures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Spot,
    Usdm,
}

impl Product {
    /// Whose `instrument` it is; every instrument here that is not spot is USDⓈ-M.
    pub(crate) fn of(instrument: &Instrument) -> Self {
        Self::of_market_type(instrument.market_type)
    }

    pub(crate) fn of_market_type(market_type: MarketType) -> Self {
        if market_type == MarketType::Spot { Self::Spot } else { Self::Usdm }
    }

    pub(crate) fn market(self) -> Market {
        match self {
            Self::Spot => Market::BinanceSpot,
            Self::Usdm => Market::BinanceUsdm,
        }
    }

    /// The type of all but its dated contracts.
    pub(crate) fn market_type(self) -> MarketType {
        match self {
            Self::Spot => MarketType::Spot,
            Self::Usdm => MarketType::Perpetual,
        }
    }
}
