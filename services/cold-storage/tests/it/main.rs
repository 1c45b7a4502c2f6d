//! cold-storage as a process, with a real broker and the real engine; the hot tier is filled by the tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod integrity;
mod kills;
mod progress;
mod release;
mod replication;
mod rig;
mod standby;
mod start;
