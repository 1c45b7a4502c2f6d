//! Binance's wire protocol: spot and USDⓈ-M. Names, JSON, REST and its budget; sockets are `connection.rs`.

pub(crate) mod budget;
pub(crate) mod exchange_info;
pub(crate) mod frames;
pub(crate) mod requests;
pub(crate) mod rest;
pub(crate) mod stream_name;
