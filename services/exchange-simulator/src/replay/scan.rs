//! The first pass over a capture: which instruments it holds, which streams of them, which books. The second pass,
//! `run.rs`, serves it; so a capture of any length is never held in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::capture::{CaptureError, Entry, Lines};
use super::entries::{BookBeside, Entries, Happening, parse};
use super::frame::{self, Captured, Told};
use super::gate::Gate;
use crate::binance::listing::{pair, split_by_known_quote};
use crate::config::{CaptureFormat, ReplayConfig};
use crate::instrument::Instrument;
use crate::replay::cryptofeed;
use crate::streams::{Feed, Stream};

/// Why a capture cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file of it.
    #[error(transparent)]
    Read(#[from] CaptureError),
    /// Files without a single frame that could be served.
    #[error("no frame of a known stream in {paths:?} (keys replay.format, replay.market_type)")]
    Empty {
        /// The files.
        paths: Vec<std::path::PathBuf>,
    },
}

/// A capture that was looked through.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) config: ReplayConfig,
    pub(crate) beside: Vec<BookBeside>,
    instruments: Vec<Instrument>,
    feeds: Vec<BTreeSet<Feed>>,
    gate: Arc<Gate>,
}

/// What the first pass learns of one instrument.
#[derive(Debug, Default)]
struct Seen {
    feeds: BTreeSet<Feed>,
    has_book: bool,
    /// A price and a quantity of it, for the digits they are written with.
    example: Option<(String, String)>,
}

impl Replay {
    /// Looks through the whole capture.
    ///
    /// # Errors
    /// When a file cannot be read or none holds a frame to serve.
    pub(crate) fn scan(config: &ReplayConfig) -> Result<Self, ReplayError> {
        let (mut beside, mut exchange_info) = (Vec::new(), None);
        if config.format == CaptureFormat::Cryptofeed {
            for path in &config.paths {
                read_siblings(path, &mut beside, &mut exchange_info)?;
            }
        }
        beside.sort_by_key(|(at_ns, _, _)| *at_ns);
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut entries = Entries::new(config, beside.clone());
        while let Some((_, happening)) = entries.next()? {
            match happening {
                Happening::Frame { instrument_id, feed, data } => {
                    seen.entry(instrument_id).or_default().note_frame(Captured { feed, data: &data });
                }
                Happening::Snapshot { instrument_id, .. } => {
                    seen.entry(instrument_id).or_default().has_book = true;
                }
                Happening::ExchangeInfo(body) => exchange_info = Some(body),
                Happening::Malformed(_) => {}
            }
        }
        seen.retain(|_, seen| !seen.feeds.is_empty());
        if seen.is_empty() {
            return Err(ReplayError::Empty { paths: config.paths.clone() });
        }
        let listed = exchange_info.as_deref().map(listed_assets).unwrap_or_default();
        let instruments = seen.iter().map(|(id, seen)| instrument(config, id, seen, &listed)).collect();
        let with_books: Vec<usize> =
            seen.values().enumerate().filter(|(_, seen)| seen.has_book).map(|(index, _)| index).collect();
        Ok(Self {
            config: config.clone(),
            beside,
            instruments,
            feeds: seen.into_values().map(|seen| seen.feeds).collect(),
            gate: Arc::new(Gate::new(config.product(), exchange_info, with_books)),
        })
    }

    pub(crate) fn instruments(&self) -> Vec<Instrument> {
        self.instruments.clone()
    }

    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// What somebody must have subscribed before the replay starts: of every instrument its diffs, and its trades
    /// in one of the forms recorded.
    pub(crate) fn required(&self) -> Vec<Vec<Stream>> {
        let mut required = Vec::new();
        for (instrument, feeds) in self.feeds.iter().enumerate() {
            for alternatives in [&[Feed::Depth][..], &[Feed::Trade, Feed::AggregateTrade][..]] {
                let recorded = alternatives.iter().filter(|feed| feeds.contains(feed));
                let streams: Vec<Stream> = recorded.map(|&feed| Stream { instrument, feed }).collect();
                if !streams.is_empty() {
                    required.push(streams);
                }
            }
        }
        required
    }
}

impl Seen {
    fn note_frame(&mut self, captured: Captured<'_>) {
        self.feeds.insert(captured.feed);
        if self.example.is_none()
            && let Ok(Told::Trade(trade)) = frame::read(captured)
        {
            self.example = Some((trade.price.to_string(), trade.quantity.to_string()));
        }
    }
}

fn read_siblings(
    path: &std::path::Path,
    beside: &mut Vec<BookBeside>,
    exchange_info: &mut Option<String>,
) -> Result<(), ReplayError> {
    let mut lines = Lines::new(cryptofeed::siblings(path));
    while let Some((line, path)) = lines.next()? {
        match parse(CaptureFormat::Cryptofeed, &line) {
            Ok(Entry::Snapshot { at_ns, instrument_id: Some(instrument_id), body }) => {
                beside.push((at_ns, instrument_id, body));
            }
            Ok(Entry::ExchangeInfo(body)) => *exchange_info = Some(body),
            Ok(Entry::Snapshot { instrument_id: None, .. } | Entry::Frame { .. } | Entry::Other) => {}
            Err(_) => tracing::warn!(path = %path.display(), "a line is none of the format's: skipped"),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ListedSymbols {
    symbols: Vec<ListedSymbol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedSymbol {
    symbol: String,
    base_asset: String,
    quote_asset: String,
}

/// Base and quote by instrument id; empty when the body is not an exchangeInfo, and names are split instead.
fn listed_assets(body: &str) -> BTreeMap<String, (String, String)> {
    match serde_json::from_str::<ListedSymbols>(body) {
        Ok(listed) => {
            listed.symbols.into_iter().map(|one| (one.symbol, (one.base_asset, one.quote_asset))).collect()
        }
        Err(error) => {
            tracing::warn!(%error, "the captured exchangeInfo cannot be read: symbols are split by known quotes");
            BTreeMap::new()
        }
    }
}

fn instrument(
    config: &ReplayConfig,
    instrument_id: &str,
    seen: &Seen,
    listed: &BTreeMap<String, (String, String)>,
) -> Instrument {
    let (base, quote) = listed.get(instrument_id).cloned().unwrap_or_else(|| {
        let (base, quote) = split_by_known_quote(instrument_id);
        (base.to_owned(), quote.to_owned())
    });
    let (price, quantity) = seen.example.clone().unwrap_or_default();
    Instrument {
        instrument_id: instrument_id.to_owned(),
        quote,
        ..pair(config.product(), &(&base, (1, decimals_of(&price)), (1, decimals_of(&quantity)), 0, 0, 0))
    }
}

/// Digits after the point, 8 when there is no example to count.
fn decimals_of(number: &str) -> u32 {
    number.split_once('.').map_or(8, |(_, fraction)| u32::try_from(fraction.len()).unwrap_or(8))
}
