//! The closed sets of the wire: each is a lower-case word in JSON, in subjects and in tables.
//!
//! Exchanges are not here: they are an open set (a token checked by [`crate::instrument::check_exchange`]), so
//! that yesterday's storage accepts today's exchange.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A word that is not in one of the closed sets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {set} `{word}`")]
pub struct UnknownWord {
    /// The set's name, such as `data type`.
    pub set: &'static str,
    /// What was given.
    pub word: String,
}

macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident, $set:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every member, in the order of the contract.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err(UnknownWord { set: $set, word: word.chars().take(64).collect() }),
                }
            }
        }
    };
}

closed_set! {
    /// What a message tells. The first token of its subject.
    DataType, "data type" {
        /// One trade, or one aggregate of trades where the exchange sends aggregates.
        Trade = "trade",
        /// The best levels of a verified local order book.
        OrderBook = "orderbook",
        /// Funding of a perpetual contract.
        FundingRate = "funding_rate",
        /// Open interest of a contract.
        OpenInterest = "open_interest",
        /// A forced order.
        Liquidation = "liquidation",
        /// A volatility index such as DVOL.
        VolatilityIndex = "volatility_index",
        /// Long/short ratio of the top traders' positions.
        LsrTopPosition = "lsr_top_position",
        /// Long/short ratio of all accounts.
        LsrAllAccount = "lsr_all_account",
        /// What is missing, as a stored fact.
        Gap = "gap",
    }
}

closed_set! {
    /// The market on which an instrument trades.
    MarketType, "market type" {
        /// Cash market.
        Spot = "spot",
        /// Contracts without expiry.
        Perpetual = "perpetual",
        /// Dated contracts.
        Futures = "futures",
        /// Options.
        Options = "options",
    }
}

closed_set! {
    /// The side that took liquidity.
    TakerSide, "side" {
        /// The taker bought.
        Buy = "buy",
        /// The taker sold.
        Sell = "sell",
    }
}

closed_set! {
    /// How a message came to us.
    Source, "source" {
        /// Pushed on a WebSocket.
        Ws = "ws",
        /// Polled by REST.
        Rest = "rest",
        /// Fetched later to fill a hole.
        Backfill = "backfill",
    }
}

closed_set! {
    /// Whose clock `ts_event_us` is; written only where it is not the exchange's.
    TimeSource, "time source" {
        /// Our receive time, because the exchange sends no time at all.
        Recv = "recv",
    }
}

closed_set! {
    /// What an order book message shows.
    SnapshotOf, "is_snapshot_of" {
        /// Every level known.
        Full = "full",
        /// The best `depth` levels of each side.
        Top = "top",
    }
}

closed_set! {
    /// Why messages are missing.
    GapReason, "gap reason" {
        /// The connection was lost, or the collector was not running.
        Disconnect = "disconnect",
        /// The exchange's sequence has a hole.
        Sequence = "sequence",
        /// A queue of ours was full.
        Backpressure = "backpressure",
        /// Given up on purpose under pressure.
        Shed = "shed",
        /// The exchange could not give the missing messages back.
        BackfillFailed = "backfill_failed",
        /// A frame could not be decoded.
        Undecodable = "undecodable",
        /// The collector stopped before the data could be published.
        Shutdown = "shutdown",
    }
}
