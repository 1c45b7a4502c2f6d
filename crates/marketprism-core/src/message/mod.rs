//! The messages on the wire: one JSON object, one shape per data type.
//!
//! Every message borrows its texts, from the frame and the instrument when it is built, from the payload when it is
//! read, so neither direction allocates per field. The common fields come first and in one order, written once in
//! the `message!` macro (`fields.rs`). A value the exchange did not send is absent, never 0.

mod decode;
mod fields;
mod funding_rate;
mod gap;
mod liquidation;
mod lsr;
mod open_interest;
mod orderbook;
mod trade;
mod volatility_index;

pub use decode::DecodeError;
pub use fields::{Common, InvalidField, Origin};
pub use funding_rate::FundingRate;
pub use gap::Gap;
pub use liquidation::Liquidation;
pub use lsr::{LsrAllAccount, LsrTopPosition};
pub use open_interest::OpenInterest;
pub use orderbook::{Level, OrderBook};
pub use trade::Trade;
pub use volatility_index::VolatilityIndex;

use crate::data_type::DataType;
use crate::subject::{Subject, SubjectError};

/// Version of the message shapes this release writes and reads.
pub const SCHEMA_VERSION: u16 = 1;

/// Any message.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the message it names")]
pub enum Message<'a> {
    Trade(Trade<'a>),
    OrderBook(OrderBook<'a>),
    FundingRate(FundingRate<'a>),
    OpenInterest(OpenInterest<'a>),
    Liquidation(Liquidation<'a>),
    VolatilityIndex(VolatilityIndex<'a>),
    LsrTopPosition(LsrTopPosition<'a>),
    LsrAllAccount(LsrAllAccount<'a>),
    Gap(Gap<'a>),
}

macro_rules! each {
    ($message:expr, $inner:ident => $result:expr) => {
        match $message {
            Message::Trade($inner) => $result,
            Message::OrderBook($inner) => $result,
            Message::FundingRate($inner) => $result,
            Message::OpenInterest($inner) => $result,
            Message::Liquidation($inner) => $result,
            Message::VolatilityIndex($inner) => $result,
            Message::LsrTopPosition($inner) => $result,
            Message::LsrAllAccount($inner) => $result,
            Message::Gap($inner) => $result,
        }
    };
}

impl<'a> Message<'a> {
    /// What the message tells.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        each!(self, message => message.data_type)
    }

    /// The fields every message has.
    #[must_use]
    pub fn common(&self) -> Common<'_> {
        each!(self, message => message.common())
    }

    /// The subject the message belongs on.
    ///
    /// # Errors
    /// When its exchange or symbol cannot be in a subject.
    pub fn subject(&self) -> Result<Subject, SubjectError> {
        let common = self.common();
        Subject::new(self.data_type(), common.exchange, common.market_type, common.symbol)
    }

    /// Checks what types cannot: signs, emptiness, order.
    ///
    /// # Errors
    /// Names the field and its value.
    pub fn validate(&self) -> Result<(), InvalidField> {
        self.common().validate()?;
        each!(self, message => message.validate())
    }

    /// Appends the message's JSON to `out`.
    ///
    /// # Errors
    /// None that is known: the shapes have no map and no foreign type.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        each!(self, message => serde_json::to_writer(out, message))
    }
}

macro_rules! into_message {
    ($($name:ident),+) => { $(
        impl<'a> From<$name<'a>> for Message<'a> {
            fn from(message: $name<'a>) -> Self { Message::$name(message) }
        }
    )+ };
}
into_message!(Trade, OrderBook, FundingRate, OpenInterest, Liquidation, VolatilityIndex);
into_message!(LsrTopPosition, LsrAllAccount, Gap);
