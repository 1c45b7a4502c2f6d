//! The real collector between the exchange simulator and a real nats-server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod admin;
mod faults;
mod flow;
mod forward_proxy;
mod kill;
mod links;
mod matrix;
mod matrix_checks;
mod matrix_tape;
mod proxy;
mod pushed;
mod record;
mod reload;
mod replay;
mod rig;
mod snapshot_mode;
mod squeeze;
mod start;
mod status;
mod tls;
