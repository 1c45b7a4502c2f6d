//! The fields that every message has, and the checks they share.

use std::fmt::Display;

use crate::data_type::{MarketType, Source, TimeSource};
use crate::decimal::Decimal;
use crate::instrument::{Instrument, check_exchange, check_symbol};
use crate::time::Timestamp;

/// A field whose value cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: `{value}` {reason}")]
pub struct InvalidField {
    /// The field's name on the wire.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl InvalidField {
    /// A complaint about one field; the value is cut at 128 characters.
    pub fn new(field: &'static str, value: impl Display, reason: &'static str) -> Self {
        Self { field, value: value.to_string().chars().take(128).collect(), reason }
    }
}

/// Where a message comes from: what the messages take from an [`Instrument`].
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The instrument.
    pub instrument: &'a Instrument,
    /// When the frame's bytes were read from the socket.
    pub received: Timestamp,
    /// How it came.
    pub source: Source,
}

/// The fields every message has, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Common<'a> {
    /// Lower-case token.
    pub exchange: &'a str,
    /// Where the instrument trades.
    pub market_type: MarketType,
    /// Canonical symbol.
    pub symbol: &'a str,
    /// The exchange's own name of the instrument.
    pub instrument_id: &'a str,
    /// When the exchange says it happened, µs UTC.
    pub ts_event_us: Timestamp,
    /// When the frame's bytes were read from the socket, µs UTC.
    pub ts_recv_us: Timestamp,
    /// How it came.
    pub source: Source,
    /// Version of the message's shape.
    pub schema: u16,
    /// Set where `ts_event_us` is not the exchange's clock.
    pub ts_event_source: Option<TimeSource>,
}

impl Common<'_> {
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        let named = |error: crate::InstrumentError| InvalidField::new(error.field, error.value, error.reason);
        check_exchange(self.exchange).map_err(named)?;
        check_symbol(self.symbol).map_err(named)?;
        if self.instrument_id.is_empty() {
            return Err(InvalidField::new("instrument_id", self.instrument_id, "is empty"));
        }
        Ok(())
    }
}

pub(super) fn positive(field: &'static str, value: Decimal) -> Result<(), InvalidField> {
    if value.is_positive() { Ok(()) } else { Err(InvalidField::new(field, value, "is not above zero")) }
}

pub(super) fn positive_if_told(field: &'static str, value: Option<Decimal>) -> Result<(), InvalidField> {
    value.map_or(Ok(()), |value| positive(field, value))
}

pub(super) fn not_negative_if_told(field: &'static str, value: Option<Decimal>) -> Result<(), InvalidField> {
    match value {
        Some(value) if value.is_negative() => Err(InvalidField::new(field, value, "is below zero")),
        _ => Ok(()),
    }
}

/// Declares a message: the common fields first and in the contract's order, then its own.
macro_rules! message {
    (
        $(#[$meta:meta])*
        $name:ident is $data_type:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name<'a> {
            /// The first token of the subject.
            pub data_type: $crate::DataType,
            /// The exchange, a lower-case token such as `binance`.
            #[serde(borrow)]
            pub exchange: std::borrow::Cow<'a, str>,
            /// Where the instrument trades.
            pub market_type: $crate::MarketType,
            /// Canonical symbol, such as `BTC-USDT`.
            #[serde(borrow)]
            pub symbol: std::borrow::Cow<'a, str>,
            /// The exchange's own name of the instrument, such as `BTCUSDT`.
            #[serde(borrow)]
            pub instrument_id: std::borrow::Cow<'a, str>,
            /// When the exchange says it happened, µs since 1970 UTC.
            pub ts_event_us: $crate::Timestamp,
            /// When the frame's bytes were read from the socket, µs since 1970 UTC.
            pub ts_recv_us: $crate::Timestamp,
            /// How the message came to us.
            pub source: $crate::Source,
            /// Version of this shape.
            pub schema: u16,
            /// Present only where `ts_event_us` is our own clock, because the exchange sent no time.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ts_event_source: Option<$crate::TimeSource>,
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl<'a> $name<'a> {
            /// The data type of this message.
            pub const DATA_TYPE: $crate::DataType = $crate::DataType::$data_type;

            /// A message of this type from an instrument, with its own fields.
            #[must_use]
            #[expect(clippy::too_many_arguments, reason = "one argument a field; the names are checked below")]
            #[allow(clippy::allow_attributes, unfulfilled_lint_expectations, reason = "short messages have few")]
            pub fn new(origin: $crate::message::Origin<'a>, event: $crate::Timestamp, $($field: $type,)*) -> Self {
                use std::borrow::Cow::Borrowed;
                Self {
                    data_type: Self::DATA_TYPE,
                    exchange: Borrowed(&origin.instrument.exchange),
                    market_type: origin.instrument.market_type,
                    symbol: Borrowed(&origin.instrument.symbol),
                    instrument_id: Borrowed(&origin.instrument.instrument_id),
                    ts_event_us: event,
                    ts_recv_us: origin.received,
                    source: origin.source,
                    schema: $crate::message::SCHEMA_VERSION,
                    ts_event_source: None,
                    $($field,)*
                }
            }

            /// The fields every message has.
            #[must_use]
            pub fn common(&self) -> $crate::message::Common<'_> {
                $crate::message::Common {
                    exchange: &self.exchange,
                    market_type: self.market_type,
                    symbol: &self.symbol,
                    instrument_id: &self.instrument_id,
                    ts_event_us: self.ts_event_us,
                    ts_recv_us: self.ts_recv_us,
                    source: self.source,
                    schema: self.schema,
                    ts_event_source: self.ts_event_source,
                }
            }
        }
    };
}
pub(super) use message;
