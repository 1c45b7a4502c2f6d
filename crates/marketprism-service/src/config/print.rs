//! The effective configuration as YAML, secrets redacted: what `--check-config` prints and the reference shows.

use serde_json::Value;
use yaml_rust2::YamlEmitter;
use yaml_rust2::yaml::{Hash, Yaml};

use super::redact::redacted;
use super::{ConfigError, Configuration};

/// `configuration` as YAML, keys sorted.
///
/// # Errors
/// Only if the type cannot be written as YAML at all.
pub fn to_yaml<C: Configuration>(configuration: &C) -> Result<String, ConfigError> {
    let failed = |error: &dyn std::fmt::Display| ConfigError::invalid("(configuration)", "", error);
    let value = serde_json::to_value(configuration).map_err(|error| failed(&error))?;
    let mut text = String::new();
    YamlEmitter::new(&mut text).dump(&yaml("", value)).map_err(|error| failed(&error))?;
    Ok(text.trim_start_matches("---").trim_start().to_owned() + "\n")
}

fn yaml(key: &str, value: Value) -> Yaml {
    match value {
        Value::Null => Yaml::Null,
        Value::Bool(value) => Yaml::Boolean(value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Yaml::Real(number.to_string()), Yaml::Integer)
        }
        Value::String(value) => Yaml::String(redacted(key, &value)),
        Value::Array(values) => Yaml::Array(values.into_iter().map(|value| yaml(key, value)).collect()),
        Value::Object(fields) => Yaml::Hash(fields.into_iter().map(field).collect::<Hash>()),
    }
}

fn field((key, value): (String, Value)) -> (Yaml, Yaml) {
    let value = yaml(&key, value);
    (Yaml::String(key), value)
}
