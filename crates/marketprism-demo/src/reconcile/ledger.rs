//! Reads the simulator's ledger.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::books::{Books, Touch};
use super::events::Events;
use super::trades::{Content, Identity, Trades};
use crate::failure::{Failure, io};

/// Everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) trades: Trades,
    pub(crate) books: Books,
    pub(crate) events: Events,
}

/// One line; which fields it has depends on `data_type`.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    data_type: Cow<'a, str>,
    #[serde(borrow)]
    exchange: Cow<'a, str>,
    #[serde(borrow)]
    market_type: Cow<'a, str>,
    #[serde(borrow)]
    instrument_id: Cow<'a, str>,
    #[serde(default)]
    trade_seq: Option<u64>,
    #[serde(default)]
    snapshot: bool,
    #[serde(default)]
    count: Option<u64>,
    #[serde(borrow, default)]
    trade_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    price: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    quantity: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    side: Option<Cow<'a, str>>,
    #[serde(default)]
    aggregated: bool,
    #[serde(default)]
    ts_event_us: Option<i64>,
    #[serde(default)]
    last_update_id: Option<u64>,
    #[serde(default)]
    update_id: Option<u64>,
    #[serde(default)]
    best_bid: Option<(String, String)>,
    #[serde(default)]
    best_ask: Option<(String, String)>,
}

/// Enters the complete lines after `from` bytes; gives where they end.
pub(super) fn read(path: &Path, from: u64, sent: &mut Sent) -> Result<u64, Failure> {
    let mut file = File::open(path).map_err(io(format!("open the ledger {}", path.display())))?;
    file.seek(SeekFrom::Start(from)).map_err(io("read the ledger"))?;
    let (mut lines, mut text, mut end) = (BufReader::new(file), String::new(), from);
    loop {
        text.clear();
        let bytes = lines.read_line(&mut text).map_err(io("read the ledger"))?;
        let Some(line) = text.strip_suffix('\n') else { return Ok(end) };
        enter(sent, line).ok_or_else(|| {
            Failure::Usage(format!("the ledger's line at byte {end} cannot be read: {line}"))
        })?;
        end += bytes as u64;
    }
}

fn enter(sent: &mut Sent, text: &str) -> Option<()> {
    let line: Line<'_> = serde_json::from_str(text).ok()?;
    let touch = || {
        let (bid, ask) = (line.best_bid.as_ref()?, line.best_ask.as_ref()?);
        Touch::of([&bid.0, &bid.1, &ask.0, &ask.1])
    };
    match line.data_type.as_ref() {
        "trade" => {
            // Deribit's ids are texts; its consecutive numbers tell its trades apart as well.
            let trade_id = line.trade_seq.map_or(line.trade_id, |number| Some(number.to_string().into()))?;
            let identity = Identity {
                exchange: &line.exchange,
                market_type: &line.market_type,
                instrument_id: &line.instrument_id,
                // OKX merges the matches of an order; one that had one match is a single trade.
                aggregated: line.aggregated && line.count != Some(1),
                trade_id: &trade_id,
            };
            let event_us = line.ts_event_us?;
            let content = Content::of(&line.price?, &line.quantity?, &line.side?, event_us)?;
            sent.trades.sent(identity, content, event_us)
        }
        "orderbook" => {
            let book = sent.books.entry(&line.exchange, &line.market_type, &line.instrument_id);
            // A book that is pushed whole, and is the one that was there before, says nothing new.
            let is_news = !line.snapshot || book.last != line.last_update_id;
            if is_news {
                book.updates.push(line.last_update_id?);
            }
            book.last = line.last_update_id;
            if let Some(touch) = touch() {
                book.touches.insert(line.last_update_id?, touch);
            }
            Some(())
        }
        "best_bid_ask" => {
            let touch = touch()?;
            let book = sent.books.entry(&line.exchange, &line.market_type, &line.instrument_id);
            book.touches.insert(line.update_id?, touch);
            Some(())
        }
        _ => sent.events.sent(&serde_json::from_str(text).ok()?),
    }
}
