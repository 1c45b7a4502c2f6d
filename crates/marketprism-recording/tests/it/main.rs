//! Recordings as files: written, cut off, damaged, appended to, read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod captures;
mod recording;
