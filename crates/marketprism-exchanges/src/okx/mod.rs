//! OKX.
mod book_frame;
mod channel;
mod checksum;
mod envelope;
mod frame;
mod operations;
mod subscriptions;
/// The exchange's token on the wire.
const EXCHANGE: &str = "okx";
