//! Properties, golden files and schemas of the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod decimal;
mod refusal;
mod subject;
mod wire;
