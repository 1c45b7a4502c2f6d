//! What a replay can be told.

use std::time::Duration;

use marketprism_core::{DataType, Instrument, MarketType, Timestamp};
use marketprism_exchanges::registry::{self, BookMode, Integration, SessionOptions};
use marketprism_recording::capture;

use crate::error::ReplayError;

/// Whose format the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Ours: it says by itself what it is of, and how its sessions were configured.
    Marketprism,
    /// Somebody else's.
    Capture(capture::Format),
}

/// When books are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BooksAt {
    /// After every update.
    Updates,
    /// As the collector does, once in an interval of the exchange's clock.
    Interval(Duration),
}

/// What to replay, and how.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Whose format the files have.
    pub format: Format,
    /// Only this exchange's market. A capture needs it, a recording says it itself.
    pub market: Option<(String, MarketType)>,
    /// Only these canonical symbols; all when empty.
    pub symbols: Vec<String>,
    /// Only these data types; when empty all that are recorded.
    pub data_types: Vec<DataType>,
    /// The exchange's own instrument lists, as its REST answers them, for captures that hold none.
    pub instrument_lists: Vec<Vec<u8>>,
    /// Which of the exchange's trade streams was recorded; the recording's own or the exchange's default when absent.
    pub trade_stream: Option<String>,
    /// Levels per side in a published book; as recorded when absent, 100 of a capture.
    pub book_depth: Option<u32>,
    /// When books are published; as recorded when absent, at every update of a capture.
    pub books_at: Option<BooksAt>,
    /// What is published before this time is not given out; frames before it still build the state.
    pub from: Option<Timestamp>,
    /// Records after this time are not read.
    pub to: Option<Timestamp>,
}

impl ReplayOptions {
    /// Everything in files of one format.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            market: None,
            symbols: Vec::new(),
            data_types: Vec::new(),
            instrument_lists: Vec::new(),
            trade_stream: None,
            book_depth: None,
            books_at: None,
            from: None,
            to: None,
        }
    }

    /// The integration asked for.
    pub(crate) fn integration(&self) -> Result<Option<&'static Integration>, ReplayError> {
        let Some((exchange, market_type)) = &self.market else { return Ok(None) };
        let gives = |integration: &&Integration| {
            integration.exchange == exchange && integration.market_types.contains(market_type)
        };
        registry::INTEGRATIONS.iter().copied().find(gives).map(Some).ok_or_else(|| {
            let markets = |integration: &&Integration| {
                let exchange = integration.exchange;
                integration.market_types.iter().map(move |market_type| format!("{exchange} {market_type}"))
            };
            let known: Vec<_> = registry::INTEGRATIONS.iter().flat_map(markets).collect();
            ReplayError::UnknownMarket {
                exchange: exchange.clone(),
                market_type: *market_type,
                known: known.join(", "),
            }
        })
    }

    /// How sessions are configured: as recorded, unless told otherwise.
    pub(crate) fn apply_to(&self, options: &mut SessionOptions) {
        if let Some(trade_stream) = &self.trade_stream {
            options.trade_stream = Some(trade_stream.clone());
        }
        if let Some(depth) = self.book_depth {
            options.book_depth = depth;
            options.book_depth_max = options.book_depth_max.max(depth);
        }
        match self.books_at {
            Some(BooksAt::Updates) => options.book_publish_interval = Duration::ZERO,
            Some(BooksAt::Interval(interval)) => options.book_publish_interval = interval,
            None => {}
        }
    }

    /// How a capture's session is configured.
    pub(crate) fn of_capture(&self) -> SessionOptions {
        let mut options = SessionOptions {
            trade_stream: None,
            book_depth: 100,
            // As deep as any exchange's snapshot: levels beyond it are in captures, too.
            book_depth_max: 10_000,
            book_publish_interval: Duration::ZERO,
            snapshot_levels: 1_000,
            book_mode: BookMode::Incremental,
            poll_interval: Duration::from_secs(30),
            ratio_period: "5m".to_owned(),
        };
        self.apply_to(&mut options);
        options
    }

    /// Those of the instruments that are asked for.
    pub(crate) fn wanted(&self, mut instruments: Vec<Instrument>) -> Vec<Instrument> {
        instruments.retain(|instrument| self.wants_symbol(&instrument.symbol));
        instruments
    }

    pub(crate) fn wants_symbol(&self, symbol: &str) -> bool {
        self.symbols.is_empty() || self.symbols.iter().any(|wanted| wanted == symbol)
    }

    pub(crate) fn wants(&self, data_type: DataType) -> bool {
        self.data_types.is_empty() || self.data_types.contains(&data_type)
    }
}
