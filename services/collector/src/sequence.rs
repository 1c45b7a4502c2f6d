//! The exchange's consecutive numbers that a message stands for.

use marketprism_core::Message;

/// First and last number; `None` where the data type has none, or the exchange's ids are no numbers.
pub(crate) fn of(message: &Message<'_>) -> Option<(u64, u64)> {
    if let Message::Trade(trade) = message {
        return trade.numbers();
    }
    if let Message::OrderBook(book) = message {
        // The updates after the book that was published before.
        let first =
            book.previous_update_id.map_or(book.last_update_id, |previous| previous.saturating_add(1));
        return Some((first.min(book.last_update_id), book.last_update_id));
    }
    None
}
