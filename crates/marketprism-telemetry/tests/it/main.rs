//! The contract between what the pipeline tells and what watches it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod alertmanager;
mod alerts;
mod compose;
mod contract;
mod dashboards;
mod ports;
mod rules;
mod units;
