//! What differs between Binance's markets: paths, weights, limits and the sequence rule. Data, no behaviour.

/// One of Binance's markets.
#[derive(Debug)]
pub(super) struct Market {
    /// How consecutive depth events are recognised.
    pub(super) chain: Chain,
    /// The trade stream taken unless the user chooses.
    pub(super) trade_stream_default: TradeStream,
    /// REST path of the depth snapshot.
    pub(super) depth_path: &'static str,
    /// Snapshot sizes the exchange knows with their weight, smallest first. A size between two takes the larger
    /// unless `depth_sizes_exact` is false.
    pub(super) depth_weights: &'static [(u32, u32)],
    /// Whether only the sizes listed are allowed, not those between them.
    pub(super) depth_sizes_exact: bool,
    /// Where missing trades are fetched by id.
    pub(super) trades_rest: TradesRest,
    /// Where missing aggregates are fetched by id.
    pub(super) aggregates_rest: TradesRest,
}

/// A REST endpoint that gives trades from an id on.
#[derive(Debug)]
pub(super) struct TradesRest {
    pub(super) path: &'static str,
    /// Most trades in one answer.
    pub(super) limit: u32,
    pub(super) weight: u32,
}

/// How depth events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// Spot: update ids are dense, the next event begins at `u + 1`.
    Dense,
    /// USDⓈ-M: update ids are sparse, the next event names this one's `u` as its `pu`.
    Linked,
}

/// Which stream trades are taken from. Their ids are two sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TradeStream {
    /// `@trade`: every print.
    Trade,
    /// `@aggTrade`: prints of one taker order at one price together.
    Aggregate,
}

impl TradeStream {
    /// From the user's option; what is neither is refused by the collector's configuration check.
    pub(super) fn chosen(option: Option<&str>, default: Self) -> Self {
        match option {
            Some("trade") => Self::Trade,
            Some("aggTrade") => Self::Aggregate,
            _ => default,
        }
    }

    /// The stream's name after the symbol.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Aggregate => "aggTrade",
        }
    }
}

impl Market {
    /// Path and weight of a snapshot of at least `levels` a side, or of the most the exchange gives.
    pub(super) fn snapshot(&self, instrument_id: &str, levels: u32) -> (String, u32) {
        let fitting = self.depth_weights.iter().find(|(size, _)| *size >= levels);
        let (size, weight) = fitting.or(self.depth_weights.last()).copied().unwrap_or((levels, 1));
        let limit = if self.depth_sizes_exact { size } else { levels.clamp(1, size) };
        (format!("{}?symbol={}&limit={limit}", self.depth_path, percent_encoded(instrument_id)), weight)
    }

    /// Path and weight of the trades of a stream from an id on, up to another one.
    pub(super) fn trades(
        &self,
        stream: TradeStream,
        instrument_id: &str,
        (from, to): (u64, u64),
    ) -> (String, u32) {
        let TradesRest { path, limit, weight } = match stream {
            TradeStream::Trade => &self.trades_rest,
            TradeStream::Aggregate => &self.aggregates_rest,
        };
        // One more than is missing: the trade behind it proves that nothing is left out.
        let limit = to.saturating_sub(from).saturating_add(2).min(u64::from(*limit));
        let symbol = percent_encoded(instrument_id);
        (format!("{path}?symbol={symbol}&fromId={from}&limit={limit}"), *weight)
    }
}

/// A symbol in a query: symbols are not always ASCII.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
