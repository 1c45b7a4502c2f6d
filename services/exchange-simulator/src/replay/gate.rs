//! Where REST and the replay meet: a captured book is answered only once the replay has reached its place in the
//! file, and the diffs behind that place wait until it was fetched. So a client joins the same way at any speed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::binance::product::Product;

/// Why there is no book to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GateError {
    NoSnapshot,
}

/// The books of one capture, by instrument.
#[derive(Debug)]
pub(crate) struct Gate {
    product: Product,
    exchange_info: Option<String>,
    books: HashMap<usize, Book>,
    fetched: Notify,
    started: AtomicBool,
    start: Notify,
    read: AtomicBool,
    malformed_lines: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    /// The body, from when its place was reached.
    body: watch::Sender<Option<String>>,
    /// Whether the newest body was handed out.
    fetched: AtomicBool,
}

impl Gate {
    /// `with_books` are the instruments whose book the capture holds.
    pub(crate) fn new(
        product: Product,
        exchange_info: Option<String>,
        with_books: impl IntoIterator<Item = usize>,
    ) -> Self {
        Self {
            product,
            exchange_info,
            books: with_books.into_iter().map(|index| (index, Book::default())).collect(),
            fetched: Notify::new(),
            started: AtomicBool::new(false),
            start: Notify::new(),
            read: AtomicBool::new(false),
            malformed_lines: AtomicU64::new(0),
        }
    }

    /// The captured exchangeInfo of `product`.
    pub(crate) fn exchange_info(&self, product: Product) -> Option<&str> {
        self.exchange_info.as_deref().filter(|_| product == self.product)
    }

    /// REST: the captured book, when its place is reached.
    pub(crate) async fn snapshot(&self, instrument: usize) -> Result<String, GateError> {
        let book = self.books.get(&instrument).ok_or(GateError::NoSnapshot)?;
        let mut body = book.body.subscribe();
        let reached = body.wait_for(Option::is_some).await.map_err(|_| GateError::NoSnapshot)?;
        let answer = reached.clone().unwrap_or_default();
        drop(reached);
        book.fetched.store(true, Ordering::Relaxed);
        self.fetched.notify_one();
        Ok(answer)
    }

    /// Replay: the place of a book is reached.
    pub(crate) fn reach(&self, instrument: usize, body: String) {
        if let Some(book) = self.books.get(&instrument) {
            book.fetched.store(false, Ordering::Relaxed);
            book.body.send_replace(Some(body));
        }
    }

    /// Replay: whether the diffs of `instrument` must wait for its book to be fetched.
    pub(crate) fn holds(&self, instrument: usize) -> bool {
        self.books
            .get(&instrument)
            .is_some_and(|book| book.body.borrow().is_some() && !book.fetched.load(Ordering::Relaxed))
    }

    /// Replay: returns when some book was fetched since the last call.
    pub(crate) async fn fetched(&self) {
        self.fetched.notified().await;
    }

    /// Control: starts without waiting for subscribers.
    pub(crate) fn start(&self) {
        self.start.notify_one();
    }

    pub(crate) async fn start_requested(&self) {
        self.start.notified().await;
    }

    pub(crate) fn set_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// The last frame was handed to its subscribers.
    pub(crate) fn set_read(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn count_malformed(&self) {
        self.malformed_lines.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines that were no frames, skipped.
    pub(crate) fn malformed_lines(&self) -> u64 {
        self.malformed_lines.load(Ordering::Relaxed)
    }
}
