//! The channels taken, and the arguments that name one of their streams.

use std::fmt;

use marketprism_core::DataType;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// A channel of the public path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    /// 400 levels a side, every 100 ms.
    Books,
    /// Matches of one taker order at one price together.
    Trades,
    /// Every 30 to 90 s.
    FundingRate,
    /// Every 3 s when changed.
    OpenInterest,
    /// Of all instruments of one type.
    LiquidationOrders,
}

impl Channel {
    /// The channel that brings a data type; `None` for what is polled or not offered.
    pub(super) const fn of(data_type: DataType) -> Option<Self> {
        match data_type {
            DataType::OrderBook => Some(Self::Books),
            DataType::Trade => Some(Self::Trades),
            DataType::FundingRate => Some(Self::FundingRate),
            DataType::OpenInterest => Some(Self::OpenInterest),
            DataType::Liquidation => Some(Self::LiquidationOrders),
            DataType::VolatilityIndex
            | DataType::LsrTopPosition
            | DataType::LsrAllAccount
            | DataType::Gap => None,
        }
    }

    /// By the exchange's name. `books-l2-tbt` has the same frames more often; recordings have it.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "books" | "books-l2-tbt" => Some(Self::Books),
            "trades" => Some(Self::Trades),
            "funding-rate" => Some(Self::FundingRate),
            "open-interest" => Some(Self::OpenInterest),
            "liquidation-orders" => Some(Self::LiquidationOrders),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::Trades => "trades",
            Self::FundingRate => "funding-rate",
            Self::OpenInterest => "open-interest",
            Self::LiquidationOrders => "liquidation-orders",
        }
    }

    /// What the name in an argument is.
    const fn key(self) -> &'static str {
        match self {
            Self::LiquidationOrders => "instType",
            Self::Books | Self::Trades | Self::FundingRate | Self::OpenInterest => "instId",
        }
    }
}

/// One stream as requests name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arg {
    pub(super) channel: Channel,
    /// Instrument id, or type of instruments.
    pub(super) name: String,
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.channel.as_str(), self.name)
    }
}

impl Serialize for Arg {
    /// `{"channel":"books","instId":"BTC-USDT-SWAP"}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("channel", self.channel.as_str())?;
        map.serialize_entry(self.channel.key(), &self.name)?;
        map.end()
    }
}
