//! The ClickHouse engine behind its HTTP interface, for laptops, CI and tests.
//!
//! The engine is libchdb, loaded at run time; this crate is the part of a ClickHouse server that libchdb lacks: HTTP,
//! sessions, compression, the server's errors. It knows nothing of markets, and no other crate links to the engine:
//! services know ClickHouse URLs only. `docs/embedded-clickhouse.md` says what is covered and what is not.

pub mod app;
mod body;
pub mod config;
mod confine;
mod encoding;
mod engine;
mod engine_xml;
mod exception;
mod execute;
mod ffi;
mod form;
mod format;
mod framing;
mod lease;
mod lexer;
mod metrics;
mod reply;
mod request;
mod response;
mod select;
mod server;
mod session;
mod statement;
mod users_xml;
