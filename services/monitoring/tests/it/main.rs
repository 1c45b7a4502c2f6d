//! The service as a process of its own, asked over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod api;
mod auth;
mod bridge;
mod broker;
mod browser;
mod console;
mod edge;
mod live;
mod monitoring;
mod openapi;
mod pages;
mod rig;
mod stack;
