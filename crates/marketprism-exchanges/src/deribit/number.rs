//! Numbers on the wire: JSON numbers such as `1.0002e6`, `2700` or `2.4e-7`, parsed exactly from their text, never
//! through a float.

use marketprism_core::Decimal;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A number, every digit kept.
pub(super) fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    parse(<&RawValue>::deserialize(deserializer)?.get())
}

/// A number that may be null or missing.
pub(super) fn exact_if_told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    Option::<&RawValue>::deserialize(deserializer)?.map(|raw| parse(raw.get())).transpose()
}

/// A rate that may be null or missing. Rates are floats of the exchange with up to 21 decimals
/// (`1.423032929843748e-4`); what the tables cannot keep is rounded, half to even, to 18.
pub(super) fn rounded_if_told<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    raw.map(|raw| Decimal::parse_rounded(raw.get().as_bytes()).map_err(de::Error::custom)).transpose()
}

pub(super) fn parse<E: de::Error>(text: &str) -> Result<Decimal, E> {
    Decimal::parse(text.as_bytes()).map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Numbers {
        #[serde(deserialize_with = "exact")]
        amount: Decimal,
        #[serde(default, deserialize_with = "rounded_if_told")]
        rate: Option<Decimal>,
    }

    fn read(amount: &str, rate: &str) -> Result<(String, Option<String>), String> {
        let text = format!(r#"{{"amount":{amount},"rate":{rate}}}"#);
        let numbers: Numbers = crate::decode::from_str(&text).map_err(|rejected| rejected.detail)?;
        Ok((numbers.amount.to_string(), numbers.rate.map(|rate| rate.to_string())))
    }

    #[test]
    fn every_way_a_number_is_written_is_exact() {
        for (text, expected) in [
            ("2700", "2700"),
            ("2700.0", "2700.0"),
            ("1.0002e6", "1000200"),
            ("3.0E+6", "3000000"),
            ("6.563e-5", "0.00006563"),
            ("0.30000000000000004", "0.30000000000000004"),
        ] {
            assert_eq!(read(text, "null").unwrap().0, expected, "{text}");
        }
        for text in ["\"1\"", "null", "true", "[1]", "1e-19", "1e99"] {
            let refused = read(text, "null").unwrap_err();
            assert!(refused.starts_with("field `amount`: "), "{refused}");
        }
    }

    #[test]
    fn rates_are_rounded_half_to_even() {
        for (text, expected) in [
            ("1.423032929843748e-4", "0.000142303292984375"),
            ("-4.739622041017375e-7", "-0.000000473962204102"),
            ("0.0000000000000000005", "0.000000000000000000"),
            ("0.0000000000000000015", "0.000000000000000002"),
            ("1.5e-40", "0.000000000000000000"),
            ("1.5e-60", "0"),
            ("0.0", "0.0"),
            ("1.423e-4", "0.0001423"),
        ] {
            assert_eq!(read("1", text).unwrap().1.as_deref(), Some(expected), "{text}");
        }
        assert_eq!(read("1", "null").unwrap().1, None);
        assert!(read("1", "1e99").unwrap_err().contains("field `rate`"));
    }
}
