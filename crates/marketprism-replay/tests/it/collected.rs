//! The messages of a replay, kept as the wire carries them.

use std::io;
use std::path::PathBuf;

use marketprism_core::message::{Gap, OrderBook, Trade};
use marketprism_core::{DataType, MarketType, Message};
use marketprism_recording::capture;
use marketprism_replay::{Format, Lane, Messages, ReplayError, ReplayOptions, Summary};

/// Messages as lines.
#[derive(Debug, Default)]
pub(crate) struct Collected(pub(crate) Vec<String>);

impl Messages for Collected {
    fn take(&mut self, message: &Message<'_>) -> io::Result<()> {
        message.validate().unwrap_or_else(|error| panic!("{error} in {message:?}"));
        let mut line = Vec::new();
        message.encode(&mut line).unwrap();
        self.0.push(String::from_utf8(line).unwrap());
        Ok(())
    }
}

impl Collected {
    fn of<'r, T: serde::Deserialize<'r>>(&'r self, data_type: DataType) -> Vec<T> {
        let prefix = format!("{{\"data_type\":\"{data_type}\"");
        let wanted = self.0.iter().filter(|payload| payload.starts_with(&prefix));
        wanted.map(|payload| serde_json::from_str(payload).unwrap()).collect()
    }
    pub(crate) fn trades(&self) -> Vec<Trade<'_>> {
        self.of(DataType::Trade)
    }
    pub(crate) fn books(&self) -> Vec<OrderBook<'_>> {
        self.of(DataType::OrderBook)
    }
    pub(crate) fn gaps(&self) -> Vec<Gap<'_>> {
        self.of(DataType::Gap)
    }
}

/// A capture's options.
pub(crate) fn of_capture(exchange: &str, market_type: MarketType, format: capture::Format) -> ReplayOptions {
    ReplayOptions {
        market: Some((exchange.to_owned(), market_type)),
        book_depth: Some(20),
        ..ReplayOptions::new(Format::Capture(format))
    }
}

/// Replays lanes of files.
pub(crate) fn replay(
    lanes: &[&[PathBuf]],
    options: &ReplayOptions,
) -> Result<(Summary, Collected), ReplayError> {
    let lanes: Vec<_> = lanes.iter().map(|paths| Lane(paths.to_vec())).collect();
    let mut collected = Collected::default();
    let summary = marketprism_replay::run(&lanes, options, &mut collected)?;
    Ok((summary, collected))
}
