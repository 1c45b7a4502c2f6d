//! From a payload back to a message, believing neither the payload nor the subject.

use serde::Deserialize;

use super::{
    FundingRate, Gap, InvalidField, Liquidation, LsrAllAccount, LsrTopPosition, Message, OpenInterest,
    OrderBook, SCHEMA_VERSION, Trade, VolatilityIndex,
};
use crate::data_type::DataType;
use crate::subject::Subject;

/// Why a payload is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON, or a field missing, of another type or unreadable.
    #[error("payload is no {data_type}: field `{path}`: {source}")]
    Shape {
        /// What the subject says it is.
        data_type: DataType,
        /// Path of the field, `.` for the whole.
        path: String,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Another version of the shape.
    #[error("payload has schema {found}, this release reads {SCHEMA_VERSION}")]
    Schema {
        /// The version in the payload.
        found: u16,
    },
    /// A field that says something else than the subject.
    #[error(
        "payload does not belong on its subject: field `{field}` is `{found}`, the subject says `{expected}`"
    )]
    Subject {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// The subject's token.
        expected: String,
    },
    /// A value that cannot be.
    #[error("payload is invalid: {0}")]
    Invalid(#[from] InvalidField),
}

impl<'a> Message<'a> {
    /// Reads the payload of a message on `subject` and checks that both agree.
    ///
    /// # Errors
    /// Names the field and its value.
    pub fn decode(subject: &Subject, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let data_type = subject.data_type();
        let message: Message<'a> = match data_type {
            DataType::Trade => read::<Trade<'a>>(data_type, payload)?.into(),
            DataType::OrderBook => read::<OrderBook<'a>>(data_type, payload)?.into(),
            DataType::FundingRate => read::<FundingRate<'a>>(data_type, payload)?.into(),
            DataType::OpenInterest => read::<OpenInterest<'a>>(data_type, payload)?.into(),
            DataType::Liquidation => read::<Liquidation<'a>>(data_type, payload)?.into(),
            DataType::VolatilityIndex => read::<VolatilityIndex<'a>>(data_type, payload)?.into(),
            DataType::LsrTopPosition => read::<LsrTopPosition<'a>>(data_type, payload)?.into(),
            DataType::LsrAllAccount => read::<LsrAllAccount<'a>>(data_type, payload)?.into(),
            DataType::Gap => read::<Gap<'a>>(data_type, payload)?.into(),
        };
        message.agrees_with(subject)?;
        message.validate()?;
        Ok(message)
    }

    fn agrees_with(&self, subject: &Subject) -> Result<(), DecodeError> {
        let common = self.common();
        if common.schema != SCHEMA_VERSION {
            return Err(DecodeError::Schema { found: common.schema });
        }
        let differs = |field, found: &str, expected: &str| DecodeError::Subject {
            field,
            found: found.chars().take(128).collect(),
            expected: expected.to_owned(),
        };
        if self.data_type() != subject.data_type() {
            return Err(differs("data_type", self.data_type().as_str(), subject.data_type().as_str()));
        }
        if common.exchange != subject.exchange() {
            return Err(differs("exchange", common.exchange, subject.exchange()));
        }
        if common.market_type != subject.market_type() {
            return Err(differs("market_type", common.market_type.as_str(), subject.market_type().as_str()));
        }
        if common.symbol != subject.symbol() {
            return Err(differs("symbol", common.symbol, &subject.symbol()));
        }
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(data_type: DataType, payload: &'a [u8]) -> Result<T, DecodeError> {
    // The quick way first: known to be UTF-8 as a whole, no text inside is looked at for it again. The path to the field
    // costs a second, slower read, paid only by bad payloads.
    if let Some(message) = str::from_utf8(payload).ok().and_then(|text| serde_json::from_str(text).ok()) {
        return Ok(message);
    }
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let shape = |path: String, source| DecodeError::Shape { data_type, path, source };
    let message: T = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| shape(error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|source| shape(".".to_owned(), source))?;
    Ok(message)
}
