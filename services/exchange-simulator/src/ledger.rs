//! What was really sent. An event enters the ledger once, when the last connection that was to get it has
//! written it or given up; an event that nobody's socket took is not in it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::clock::now_us;
use crate::event::{PriceLevel, Touch};
use crate::instrument::EXCHANGE;
use crate::lock::lock;
use crate::record::{DataType, Record};
use crate::streams::Catalogue;

/// Lines wait here at most this long in bytes before they reach the file; a flush empties it.
const BUFFER_BYTES: usize = 1 << 20;

/// Events sent of one data type of one instrument.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) events: u64,
    pub(crate) last_sent_us: i64,
}

/// Counts, and the file when one was asked for.
#[derive(Debug)]
pub(crate) struct Ledger {
    catalogue: Arc<Catalogue>,
    sent: Mutex<HashMap<(usize, DataType), Sent>>,
    file: Mutex<Option<BufWriter<File>>>,
    failure: Mutex<Option<String>>,
    in_flight: AtomicI64,
}

impl Ledger {
    /// Appends to `path`, or only counts without one.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub(crate) fn open(catalogue: Arc<Catalogue>, path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(Self {
            catalogue,
            sent: Mutex::default(),
            file: Mutex::new(file.map(|file| BufWriter::with_capacity(BUFFER_BYTES, file))),
            failure: Mutex::default(),
            in_flight: AtomicI64::new(0),
        })
    }

    /// A ticket to hand to every connection that is to get the event.
    pub(crate) fn ticket(self: &Arc<Self>, instrument: usize, record: Record) -> Ticket {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::new(Pending { ledger: Arc::clone(self), instrument, record, copies: AtomicU32::new(0) }))
    }

    /// Writes a line for an event that happened but nobody had subscribed (bookTicker in a replay).
    pub(crate) fn note_unsent(&self, instrument: usize, record: &Record) {
        self.write_line(instrument, record, 0, now_us());
    }

    /// Events handed to connections whose fate is open.
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> HashMap<(usize, DataType), Sent> {
        lock(&self.sent).clone()
    }

    /// The first write error, if any: from then on the file misses lines.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    /// Brings every settled line to the file.
    ///
    /// # Errors
    /// When the file cannot be written, now or earlier.
    pub(crate) fn flush(&self) -> Result<(), String> {
        let flushed = lock(&self.file).as_mut().map_or(Ok(()), Write::flush);
        if let Err(error) = flushed {
            self.fail(&error);
        }
        self.failure().map_or(Ok(()), Err)
    }

    fn settle(&self, instrument: usize, record: &Record, copies: u32) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if copies == 0 {
            return;
        }
        let Some(data_type) = record.data_type() else { return };
        let sent_us = now_us();
        self.write_line(instrument, record, copies, sent_us);
        let mut sent = lock(&self.sent);
        let counted = sent.entry((instrument, data_type)).or_default();
        counted.events += 1;
        counted.last_sent_us = sent_us;
    }

    fn write_line(&self, instrument: usize, record: &Record, copies: u32, ts_sent_us: i64) {
        let Some(instrument) = self.catalogue.get(instrument) else { return };
        let Some(data_type) = record.data_type() else { return };
        let symbol = instrument.symbol();
        let mut line = Line {
            data_type,
            exchange: EXCHANGE,
            market_type: instrument.market_type.as_str(),
            symbol: &symbol,
            instrument_id: &instrument.instrument_id,
            ts_sent_us,
            copies: (copies != 1).then_some(copies),
            ..Line::default()
        };
        match record {
            Record::Trade { trade_id, price, quantity, buyer_is_maker, aggregated, ts_event_us } => {
                line.trade_id = Some(trade_id);
                line.price = Some(price);
                line.quantity = Some(quantity);
                line.side = Some(if *buyer_is_maker { "sell" } else { "buy" });
                line.aggregated = Some(*aggregated);
                line.ts_event_us = Some(*ts_event_us);
            }
            Record::OrderBook { first_update_id, last_update_id, touch } => {
                line.first_update_id = Some(*first_update_id);
                line.last_update_id = Some(*last_update_id);
                line.touch(touch.as_ref());
            }
            Record::BestBidAsk { update_id, touch } => {
                line.update_id = Some(*update_id);
                line.touch(Some(touch));
            }
            Record::Unrecorded => return,
        }
        let mut file = lock(&self.file);
        let Some(writer) = file.as_mut() else { return };
        let written = serde_json::to_writer(&mut *writer, &line)
            .map_err(io::Error::from)
            .and_then(|()| writer.write_all(b"\n"));
        drop(file);
        if let Err(error) = written {
            self.fail(&error);
        }
    }

    fn fail(&self, error: &io::Error) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            tracing::error!(%error, "the ledger file cannot be written: it misses lines from now on");
            *failure = Some(format!("failed to write the ledger file: {error}"));
        }
    }
}

/// One event on its way to one or more connections. Dropping the last clone settles it.
#[derive(Debug, Clone)]
pub(crate) struct Ticket(Arc<Pending>);

impl Ticket {
    /// One socket took the event.
    pub(crate) fn written(self) {
        self.0.copies.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Pending {
    ledger: Arc<Ledger>,
    instrument: usize,
    record: Record,
    copies: AtomicU32,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.ledger.settle(self.instrument, &self.record, self.copies.load(Ordering::Relaxed));
    }
}

/// One line of the file; absent fields do not belong to the data type.
#[derive(Debug, Serialize)]
struct Line<'a> {
    data_type: DataType,
    exchange: &'a str,
    market_type: &'a str,
    symbol: &'a str,
    instrument_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_update_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    best_bid: Option<&'a PriceLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    best_ask: Option<&'a PriceLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_event_us: Option<i64>,
    ts_sent_us: i64,
    /// How many sockets took it, where not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u32>,
}

impl<'a> Line<'a> {
    fn touch(&mut self, touch: Option<&'a Touch>) {
        self.best_bid = touch.map(|touch| &touch.best_bid);
        self.best_ask = touch.map(|touch| &touch.best_ask);
    }
}

impl Default for Line<'_> {
    fn default() -> Self {
        Self {
            data_type: DataType::Trade,
            exchange: EXCHANGE,
            market_type: "",
            symbol: "",
            instrument_id: "",
            trade_id: None,
            price: None,
            quantity: None,
            side: None,
            aggregated: None,
            first_update_id: None,
            last_update_id: None,
            update_id: None,
            best_bid: None,
            best_ask: None,
            ts_event_us: None,
            ts_sent_us: 0,
            copies: None,
        }
    }
}
