//! Boot: configuration, logs, metrics, health, supervision, shutdown.
