//! Looks into a capture to find out what it is of: which market, and which of the exchange's trade streams.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::failure::{Failure, io};
use crate::options::{Format, Market};

/// Lines looked at; depth and trades both come within the first seconds of every capture seen.
const LINES_MAX: usize = 5_000;

/// What a capture is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nature {
    pub(crate) market: Market,
    /// The trade stream in it: `trade` or `aggTrade`.
    pub(crate) trade_stream: &'static str,
}

/// Reads the beginning of a capture.
pub(crate) fn look(path: &Path, format: Format) -> Result<Nature, Failure> {
    let file = File::open(path).map_err(io(format!("open capture {}", path.display())))?;
    let reader: Box<dyn Read> = match format {
        Format::Hbt => Box::new(MultiGzDecoder::new(file)),
        Format::Cryptofeed => Box::new(file),
    };
    let (mut depth, mut previous, mut aggregates) = (false, false, false);
    for line in BufReader::new(reader).lines().take(LINES_MAX) {
        let line = line.map_err(io(format!("read capture {}", path.display())))?;
        depth |= line.contains("\"e\":\"depthUpdate\"");
        // Only USDⓈ-M diffs name the update before them.
        previous |= line.contains("\"e\":\"depthUpdate\"") && line.contains("\"pu\":");
        aggregates |= line.contains("\"e\":\"aggTrade\"");
    }
    if !depth {
        let reason =
            format!("{} holds no Binance depth update in its first {LINES_MAX} lines", path.display());
        return Err(Failure::Usage(reason));
    }
    let market = if previous { Market::BinanceUsdm } else { Market::BinanceSpot };
    Ok(Nature { market, trade_stream: if aggregates { "aggTrade" } else { "trade" } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(text: &str) -> Result<Nature, Failure> {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("capture");
        std::fs::write(&path, text).unwrap();
        look(&path, Format::Cryptofeed)
    }

    #[test]
    fn market_and_trade_stream_are_found_out() {
        let spot =
            "1.0: {\"data\":{\"e\":\"depthUpdate\",\"U\":1,\"u\":2}}\n1.1: {\"data\":{\"e\":\"aggTrade\"}}\n";
        assert_eq!(look_at(spot).unwrap(), Nature { market: Market::BinanceSpot, trade_stream: "aggTrade" });
        let usdm = "1.0: {\"data\":{\"e\":\"depthUpdate\",\"U\":1,\"u\":2,\"pu\":0}}\n1.1: {\"data\":{\"e\":\"trade\"}}\n";
        assert_eq!(look_at(usdm).unwrap(), Nature { market: Market::BinanceUsdm, trade_stream: "trade" });
        assert!(look_at("nothing\n").unwrap_err().to_string().contains("no Binance depth update"));
    }
}
