//! The checksum that books carried until June 2026; since then the field is 0 or absent. For recordings only.

use std::fmt::Write;

use crate::book::Book;

/// Levels of a side that take part.
const LEVELS: usize = 25;

/// CRC-32 (IEEE) over `bid price:bid size:ask price:ask size:…` of the best 25 levels, the sides in turn; where one is
/// exhausted the other goes on. A book keeps the exchange's own digits, so its levels print as they were sent.
pub(super) fn of(book: &Book) -> i32 {
    let (mut bids, mut asks) = (book.bids().take(LEVELS), book.asks().take(LEVELS));
    let mut text = String::with_capacity(2 * LEVELS * 24);
    loop {
        let pair = (bids.next(), asks.next());
        if pair == (None, None) {
            break;
        }
        for level in [pair.0, pair.1].into_iter().flatten() {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "{}:{}:", level.price, level.quantity);
        }
    }
    let joined = text.strip_suffix(':').unwrap_or(&text);
    i32::from_ne_bytes(crc32fast::hash(joined.as_bytes()).to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use marketprism_core::message::Level;

    #[test]
    fn sides_alternate_and_the_longer_goes_on() {
        let mut book = Book::new(400);
        let level = |price: &str, quantity: &str| Level {
            price: price.parse().unwrap(),
            quantity: quantity.parse().unwrap(),
        };
        assert_eq!(of(&book), 0, "an empty book");
        book.set_bid(level("3366.1", "7"));
        book.set_bid(level("3366", "6.50"));
        book.set_ask(level("3366.8", "9"));
        let wanted = crc32fast::hash(b"3366.1:7:3366.8:9:3366:6.50");
        assert_eq!(of(&book).cast_unsigned(), wanted);
    }
}
