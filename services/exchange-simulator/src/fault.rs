//! Faults on demand. One enum is the whole list: a new fault is a variant here and the place that obeys it. Which are
//! in force is `faults.rs`.

use std::num::NonZeroU64;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::instrument::{Instrument, MarketType};

/// What `POST /control/fault` takes: `{"fault":"skip_diff","instrument_id":"BTCUSDT","count":1}`. Where the fields of
/// the selector are absent the fault concerns everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Selector,
    pub(crate) kind: FaultKind,
}

/// Which instruments, or whose connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Selector {
    pub(crate) exchange: Option<Exchange>,
    #[serde(alias = "market")]
    pub(crate) market_type: Option<MarketType>,
    pub(crate) instrument_id: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FaultKind {
    /// Drops connections now, without a Close frame.
    Disconnect,
    /// Announces the end on every connection, in the exchange's words; nothing closes by itself.
    ServerShutdown,
    /// What the exchange does around a maintenance: Binance announces, OKX resets the ids of its books, Deribit says
    /// so and closes.
    MaintenanceReset,
    /// Sockets stay open and new ones are accepted, but nothing is read, answered or sent for so long.
    Silence { for_ms: u64 },
    /// Nothing happens on the instrument for so long; then it goes on where it stood.
    Stall { for_ms: u64 },
    /// Keeps back the next `count` book updates.
    SkipDiff { count: NonZeroU64 },
    /// Keeps back the next `count` messages of each trade stream.
    DropTrade { count: NonZeroU64 },
    /// Sends the next `count` book updates twice.
    DuplicateDiff {
        #[serde(default = "one")]
        count: NonZeroU64,
    },
    /// Sends the next `count` messages of each trade stream twice.
    DuplicateTrade {
        #[serde(default = "one")]
        count: NonZeroU64,
    },
    /// Swaps the next two messages of each trade and book stream, `count` times.
    Reorder {
        #[serde(default = "one")]
        count: NonZeroU64,
    },
    /// The next `count` data frames are cut in half.
    CorruptFrame { count: NonZeroU64 },
    /// WebSocket handshakes are answered 503 for so long.
    Refuse { for_ms: u64 },
    /// REST is answered `status` for so long.
    RateLimit {
        for_ms: u64,
        /// 429, 418, 451 or 403.
        #[serde(default = "too_many_requests")]
        status: u16,
        /// Retry-After; absent sends none.
        retry_after_seconds: Option<u64>,
    },
    /// REST takes so much longer for so long.
    SlowRest { for_ms: u64, delay_ms: u64 },
    /// Every time that the exchange tells is off by so much from now on; 0 sets it right.
    ClockSkew { skew_ms: i64 },
    /// The rate of all events is multiplied for so long.
    Burst { factor: u64, for_ms: u64 },
}

/// Refusals REST can be told to answer with.
const REFUSALS: [u16; 4] = [429, 418, 451, 403];
/// Above this the burst, not the client, would be what is tested.
const BURST_FACTOR_MAX: u64 = 1000;

fn one() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn too_many_requests() -> u16 {
    429
}

impl Fault {
    /// Reads a request.
    ///
    /// # Errors
    /// Naming the field or the value that cannot be.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut kind: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut at = Map::new();
        for field in ["exchange", "market_type", "market", "instrument_id"] {
            at.extend(kind.remove_entry(field));
        }
        let at: Selector = serde_json::from_value(at.into()).map_err(|error| error.to_string())?;
        let kind: FaultKind = serde_json::from_value(kind.into()).map_err(|error| error.to_string())?;
        if let FaultKind::RateLimit { status, .. } = &kind
            && !REFUSALS.contains(status)
        {
            return Err(format!("status: {status} is none of {REFUSALS:?}"));
        }
        if let FaultKind::Burst { factor, .. } = &kind
            && !(1..=BURST_FACTOR_MAX).contains(factor)
        {
            return Err(format!("factor: {factor} is not from 1 to {BURST_FACTOR_MAX}"));
        }
        Ok(Self { at, kind })
    }
}

impl FaultKind {
    /// The name it is asked for by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::ServerShutdown => "server_shutdown",
            Self::MaintenanceReset => "maintenance_reset",
            Self::Silence { .. } => "silence",
            Self::Stall { .. } => "stall",
            Self::SkipDiff { .. } => "skip_diff",
            Self::DropTrade { .. } => "drop_trade",
            Self::DuplicateDiff { .. } => "duplicate_diff",
            Self::DuplicateTrade { .. } => "duplicate_trade",
            Self::Reorder { .. } => "reorder",
            Self::CorruptFrame { .. } => "corrupt_frame",
            Self::Refuse { .. } => "refuse",
            Self::RateLimit { .. } => "rate_limit",
            Self::SlowRest { .. } => "slow_rest",
            Self::ClockSkew { .. } => "clock_skew",
            Self::Burst { .. } => "burst",
        }
    }
}

impl Selector {
    /// Whether it means `instrument`.
    pub(crate) fn means(&self, instrument: &Instrument) -> bool {
        self.means_exchange(instrument.market.exchange())
            && self.market_type.is_none_or(|wanted| wanted == instrument.market_type)
            && self.instrument_id.as_ref().is_none_or(|wanted| *wanted == instrument.instrument_id)
    }

    pub(crate) fn means_exchange(&self, exchange: Exchange) -> bool {
        self.exchange.is_none_or(|wanted| wanted == exchange)
    }

    /// Whether it means a connection or request of `exchange`; `market_type` is absent where one carries them all.
    pub(crate) fn means_socket(&self, exchange: Exchange, market_type: Option<MarketType>) -> bool {
        self.means_exchange(exchange)
            && match (self.market_type, market_type) {
                (Some(wanted), Some(its)) => wanted == its,
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Fault, FaultKind};
    use crate::exchange::Exchange;

    #[test]
    fn requests_are_read_and_what_is_wrong_is_named() {
        let fault =
            Fault::parse(br#"{"fault":"skip_diff","exchange":"okx","instrument_id":"X","count":2}"#).unwrap();
        assert_eq!(fault.kind, FaultKind::SkipDiff { count: NonZeroU64::new(2).unwrap() });
        assert_eq!((fault.at.exchange, fault.at.instrument_id.as_deref()), (Some(Exchange::Okx), Some("X")));
        for (body, named) in [
            (r#"{"fault":"explode"}"#, "explode"),
            (r#"{"fault":"refuse"}"#, "for_ms"),
            (r#"{"fault":"refuse","for_ms":1,"why":2}"#, "why"),
            (r#"{"fault":"disconnect","exchange":"mtgox"}"#, "mtgox"),
            (r#"{"fault":"disconnect","market_type":"margin"}"#, "margin"),
            (r#"{"fault":"drop_trade","count":0}"#, "nonzero"),
            (r#"{"fault":"rate_limit","for_ms":1,"status":500}"#, "500"),
            (r#"{"fault":"burst","for_ms":1,"factor":0}"#, "factor"),
            ("[]", "map"),
        ] {
            let error = Fault::parse(body.as_bytes()).unwrap_err();
            assert!(error.contains(named), "{body}: {error}");
        }
    }
}
