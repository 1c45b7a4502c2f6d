//! Replays of our own recordings, and of captures made by others where they are there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::print_stdout, clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod captures;
mod collected;
mod references;
mod rest_bodies;
mod vectors;
