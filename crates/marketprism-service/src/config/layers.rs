//! The layers: defaults, file, `MARKETPRISM__SECTION__FIELD`, then the variables operators already set.
//!
//! Lists are set in the file only, but for host names. Empty variables count as unset, as compose files leave them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, File, FileFormat, Map, Value, ValueKind};

use super::{ConfigError, Configuration};

/// The process environment, as an argument.
pub type Environment = BTreeMap<String, String>;

/// A variable that the system before this one documented, and the key it sets.
#[derive(Debug, Clone, Copy)]
pub struct LegacyVariable {
    /// `HEALTH_CHECK_PORT`
    pub variable: &'static str,
    /// The dotted key: `logging.level`. `<key>_port`, where `<key>` is a listen address, sets only the address's port.
    pub key: &'static str,
}

/// What every service understands.
pub(crate) const LEGACY: [LegacyVariable; 3] = [
    LegacyVariable { variable: "LOG_LEVEL", key: "logging.level" },
    LegacyVariable { variable: "HEALTH_CHECK_PORT", key: "admin.health_listen_port" },
    LegacyVariable { variable: "METRICS_PORT", key: "admin.metrics_listen_port" },
];

type Builder = ConfigBuilder<DefaultState>;

/// The effective configuration, checked.
///
/// # Errors
/// A file that cannot be read, an unknown key, a value of the wrong type, or whatever `validate` refuses.
pub fn load<C: Configuration>(
    file: Option<&Path>,
    environment: &Environment,
    legacy: &[LegacyVariable],
) -> Result<C, ConfigError> {
    let mut layers = with_defaults::<C>(Config::builder())?;
    if let Some(path) = file {
        layers = with_file(layers, path)?;
    }
    layers = with_environment(layers, environment);
    for variable in LEGACY.iter().chain(legacy) {
        layers = with_legacy(layers, environment, *variable)?;
    }
    let configuration: C = typed(&built(&layers)?)?;
    configuration.logging().validate()?;
    configuration.admin().validate()?;
    configuration.validate()?;
    Ok(configuration)
}

fn with_defaults<C: Configuration>(mut layers: Builder) -> Result<Builder, ConfigError> {
    let defaults = serde_json::to_value(C::default())
        .map_err(|error| ConfigError::invalid("(defaults)", "", format_args!("not serializable: {error}")))?;
    let serde_json::Value::Object(sections) = defaults else {
        return Err(ConfigError::invalid("(defaults)", defaults, "not a table"));
    };
    for (section, value) in sections {
        layers = layers
            .set_default(&section, to_value(value))
            .map_err(|error| unreadable("(defaults)", &error))?;
    }
    Ok(layers)
}

fn with_file(layers: Builder, path: &Path) -> Result<Builder, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::invalid("--config", &shown, format_args!("failed to read: {error}")))?;
    if text.trim().is_empty() {
        // Half of a replacement, most likely: taking it for "all defaults" would make a running service something else.
        return Err(ConfigError::invalid("--config", &shown, "is empty"));
    }
    let source = File::from_str(&text, FileFormat::Yaml);
    // Built alone first, so that an error of its syntax names the file.
    Config::builder()
        .add_source(source.clone())
        .build()
        .map_err(|error| unreadable(&shown.to_string(), &error))?;
    Ok(layers.add_source(source))
}

fn with_environment(layers: Builder, environment: &Environment) -> Builder {
    let variables: Map<String, String> =
        environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    layers.add_source(
        config::Environment::with_prefix("MARKETPRISM")
            .prefix_separator("__")
            .separator("__")
            .ignore_empty(true)
            .source(Some(variables)),
    )
}

fn with_legacy(
    layers: Builder,
    environment: &Environment,
    LegacyVariable { variable, key }: LegacyVariable,
) -> Result<Builder, ConfigError> {
    let Some(value) = environment.get(variable).filter(|value| !value.is_empty()) else { return Ok(layers) };
    let (key, value) = match listen_address(&layers, key)? {
        None => (key, value.clone()),
        Some((key, mut address)) => {
            let port = value
                .parse()
                .map_err(|_| ConfigError::invalid(key, value, format_args!("{variable} is not a port")))?;
            address.set_port(port);
            (key, address.to_string())
        }
    };
    let layers = layers.set_override(key, value);
    layers.map_err(|error| unreadable(variable, &error))
}

/// For `<key>_port`, the address that `<key>` has so far.
fn listen_address(
    layers: &Builder,
    key: &'static str,
) -> Result<Option<(&'static str, SocketAddr)>, ConfigError> {
    let Some(key) = key.strip_suffix("_port") else { return Ok(None) };
    let address = built(layers)?.get_string(key).ok().and_then(|address| address.parse().ok());
    Ok(address.map(|address| (key, address)))
}

fn built(layers: &Builder) -> Result<Config, ConfigError> {
    layers.build_cloned().map_err(|error| unreadable("(configuration)", &error))
}

fn typed<C: Configuration>(merged: &Config) -> Result<C, ConfigError> {
    serde_path_to_error::deserialize(merged.clone()).map_err(|error| {
        let path = error.path().to_string();
        let value = merged.get::<Value>(&path).map_or_else(|_| "(unset)".to_owned(), |value| shown(&value));
        ConfigError::invalid(path, value, error.into_inner())
    })
}

/// A value as an error shows it: sections may hold secrets, so they are only named.
fn shown(value: &Value) -> String {
    if matches!(value.kind, ValueKind::Table(_)) {
        return "(a section)".to_owned();
    }
    if matches!(value.kind, ValueKind::Array(_)) {
        return "(a list)".to_owned();
    }
    value.to_string()
}

fn unreadable(what: &str, error: &config::ConfigError) -> ConfigError {
    ConfigError::invalid(what, "(unreadable)", error)
}

fn to_value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => ValueKind::Nil,
        Json::Bool(value) => ValueKind::Boolean(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => ValueKind::I64(value),
            (None, Some(value)) => ValueKind::U64(value),
            (None, None) => number.as_f64().map_or(ValueKind::Nil, ValueKind::Float),
        },
        Json::String(value) => ValueKind::String(value),
        Json::Array(values) => ValueKind::Array(values.into_iter().map(to_value).collect()),
        Json::Object(fields) => {
            ValueKind::Table(fields.into_iter().map(|(key, value)| (key, to_value(value))).collect())
        }
    };
    Value::new(None, kind)
}
