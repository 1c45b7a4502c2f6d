//! The boot crate from outside: its configuration layers, and the process of `examples/tiny.rs` in every way it can end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod boot;
mod config;
mod endings;
mod http;
mod process;
