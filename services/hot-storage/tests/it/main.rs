//! hot-storage as a process, between a real broker and the real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod admin;
mod captures;
mod dead_letter_commands;
mod dead_letters;
mod epochs;
mod exactly_once;
mod hostile;
mod outages;
mod rig;
mod standby;
mod start;
