//! JSON Schemas of the messages, generated from the types: `docs/reference/schemas/` is this, checked by diff.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use crate::data_type::DataType;
use crate::message::{
    FundingRate, Gap, Liquidation, LsrAllAccount, LsrTopPosition, OpenInterest, OrderBook, Trade,
    VolatilityIndex,
};

/// The schema of every message, in the order of [`DataType::ALL`].
#[must_use]
pub fn all() -> Vec<(DataType, Value)> {
    DataType::ALL.iter().map(|data_type| (*data_type, of(*data_type))).collect()
}

/// The schema of one data type's message (JSON Schema 2020-12).
#[must_use]
pub fn of(data_type: DataType) -> Value {
    match data_type {
        DataType::Trade => generate::<Trade<'static>>(),
        DataType::OrderBook => generate::<OrderBook<'static>>(),
        DataType::FundingRate => generate::<FundingRate<'static>>(),
        DataType::OpenInterest => generate::<OpenInterest<'static>>(),
        DataType::Liquidation => generate::<Liquidation<'static>>(),
        DataType::VolatilityIndex => generate::<VolatilityIndex<'static>>(),
        DataType::LsrTopPosition => generate::<LsrTopPosition<'static>>(),
        DataType::LsrAllAccount => generate::<LsrAllAccount<'static>>(),
        DataType::Gap => generate::<Gap<'static>>(),
    }
}

fn generate<T: JsonSchema>() -> Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>().to_value()
}
