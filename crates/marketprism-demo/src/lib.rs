//! The whole pipeline on one machine: starts it, shows it live, stops it in order, and reconciles what the exchange sent
//! with what both tiers hold. `marketprism-chaos` starts, reconciles and murders the same pipeline.
//!
//! It runs the real binaries with real configuration files; it is no part of them and imports only the vocabulary.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a command for people: its output is its result"
)]

mod capture;
mod columns;
mod console;
pub mod failure;
mod flows;
pub mod folder;
pub mod http;
mod live;
mod measured;
pub mod options;
pub mod password;
mod picture;
pub mod ports;
pub mod process;
pub mod reconcile;
mod report;
pub mod run;
mod sample;
pub mod settings;
pub mod stack;
mod table;
mod usage;
mod watch;
