//! The service as a process of its own, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod bridge;
mod broker;
mod monitoring;
mod pages;
