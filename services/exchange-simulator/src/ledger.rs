//! What was really sent. An event enters the ledger once, when the last connection that was to get it has
//! written it or given up; an event that nobody's socket took is not in it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::clock::now_us;
use crate::exchange::Exchange;
use crate::instrument::MarketType;
use crate::lock::lock;
use crate::record::{DataType, Record};

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
    newest_polled_us: Mutex<HashMap<Series, i64>>,
}

/// Instrument, data type, and the period where there are several: a bounded set, as the catalogue is.
type Series = (usize, DataType, &'static str);

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
            newest_polled_us: Mutex::default(),
        })
    }

    /// A ticket to hand to every connection that is to get the events.
    pub(crate) fn ticket(self: &Arc<Self>, entries: Vec<(usize, Record)>) -> Ticket {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::new(Pending { ledger: Arc::clone(self), entries, copies: AtomicU32::new(0) }))
    }

    /// Writes a line for an event that happened but nobody had subscribed (bookTicker in a replay).
    pub(crate) fn note_unsent(&self, instrument: usize, record: &Record) {
        self.write_line(instrument, record, None, Some(0));
    }

    /// Counts and writes a value that REST answered with, unless it or a newer one of the same series was written
    /// before: clients ask for the same row again and again.
    pub(crate) fn note_polled(&self, instrument: usize, series: &'static str, record: &Record) {
        let (Some(data_type), Some(ts_event_us)) = (record.data_type(), record.ts_event_us()) else { return };
        {
            let mut newest = lock(&self.newest_polled_us);
            let newest_us = newest.entry((instrument, data_type, series)).or_insert(i64::MIN);
            if ts_event_us <= *newest_us {
                return;
            }
            *newest_us = ts_event_us;
        }
        self.write_line(instrument, record, Some("rest"), None);
        self.count(instrument, data_type);
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

    fn settle(&self, entries: &[(usize, Record)], copies: u32) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if copies == 0 {
            return;
        }
        for (instrument, record) in entries {
            if let Some(data_type) = record.data_type() {
                self.write_line(*instrument, record, None, Some(copies));
                self.count(*instrument, data_type);
            }
        }
    }

    fn count(&self, instrument: usize, data_type: DataType) {
        let mut sent = lock(&self.sent);
        let counted = sent.entry((instrument, data_type)).or_default();
        counted.events += 1;
        counted.last_sent_us = now_us();
    }

    fn write_line(
        &self,
        instrument: usize,
        record: &Record,
        source: Option<&'static str>,
        copies: Option<u32>,
    ) {
        let Some(instrument) = self.catalogue.get(instrument) else { return };
        let Some(data_type) = record.data_type() else { return };
        let line = Line {
            data_type,
            exchange: instrument.market.exchange(),
            market_type: instrument.market_type,
            symbol: &instrument.symbol(),
            instrument_id: &instrument.instrument_id,
            record,
            ts_sent_us: now_us(),
            source,
            copies: copies.filter(|&copies| copies != 1),
        };
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

/// One frame on its way to one or more connections. Dropping the last clone settles it.
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
    entries: Vec<(usize, Record)>,
    copies: AtomicU32,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.ledger.settle(&self.entries, self.copies.load(Ordering::Relaxed));
    }
}

/// One line of the file.
#[derive(Debug, Serialize)]
struct Line<'a> {
    data_type: DataType,
    exchange: Exchange,
    market_type: MarketType,
    symbol: &'a str,
    instrument_id: &'a str,
    #[serde(flatten)]
    record: &'a Record,
    ts_sent_us: i64,
    /// `rest` for what was polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// How many sockets took it, where not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u32>,
}
