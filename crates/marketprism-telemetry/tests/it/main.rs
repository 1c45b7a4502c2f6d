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
mod contract;
mod dashboards;
mod rules;
