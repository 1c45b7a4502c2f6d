//! Logs to standard error, for people or as JSON, repeated errors sampled; panics are logged like errors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LoggingConfig};
use crate::repeats::Repeats;
use crate::report::{Context, Report};

/// The filter of `logging.level`, or why it is none.
pub(crate) fn filter(config: &LoggingConfig) -> Result<EnvFilter, String> {
    // The names that Python's logging knows, which LOG_LEVEL may still hold.
    let level = match config.level.to_ascii_lowercase().as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        _ => config.level.as_str(),
    };
    // A bare word that is no level would be taken for a module's name and silence everything else.
    let is_word = level.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if level.is_empty() || is_word && level.parse::<tracing::level_filters::LevelFilter>().is_err() {
        return Err(
            "not one of error, warn, info, debug, trace, off, nor a filter such as info,async_nats=warn"
                .into(),
        );
    }
    EnvFilter::builder().parse(level).map_err(|error| error.to_string())
}

/// Installs the subscriber and the panic hook of this process. What is held back of repeated lines is told by whoever has
/// the result.
pub(crate) fn install(config: &LoggingConfig) -> Result<Repeats, Report> {
    let repeats = Repeats::default();
    let filter = filter(config).map_err(Report::message)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.format {
        // Colours are for a terminal; in a file they are noise.
        LogFormat::Human => {
            let lines = lines.with_target(false).with_ansi(std::io::stderr().is_terminal());
            lines.finish().with(repeats.clone()).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).finish().with(repeats.clone()).try_init(),
    }
    .context("failed to install the log subscriber")?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(repeats)
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = message(panic.payload());
    tracing::error!(thread = thread.name().unwrap_or("unnamed"), location, message, "panic");
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_filters_and_the_names_of_python_are_understood() {
        let config = |level: &str| LoggingConfig { level: level.to_owned(), ..LoggingConfig::default() };
        for level in ["info", "INFO", "WARNING", "CRITICAL", "debug", "off", "info,async_nats=warn"] {
            assert!(filter(&config(level)).is_ok(), "{level}");
        }
        for level in ["loud", "", "info,x=loud"] {
            assert!(filter(&config(level)).is_err(), "{level}");
        }
    }
}
