//! The book against a model too simple to be wrong.

use std::collections::BTreeMap;

use marketprism_core::Decimal;
use marketprism_core::message::Level;
use marketprism_exchanges::book::Book;
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Update {
    is_bid: bool,
    level: Level,
}

/// Few prices, so that levels meet; scales differ, because `1.0` and `1.00` are one price.
fn update() -> impl Strategy<Value = Update> {
    (any::<bool>(), 1_i128..60, 0_u32..3, 0_i128..4).prop_map(|(is_bid, price, zeros, quantity)| Update {
        is_bid,
        level: Level {
            price: Decimal::new(price * 10_i128.pow(zeros), 1 + zeros).unwrap(),
            quantity: Decimal::new(quantity, 2).unwrap(),
        },
    })
}

proptest! {
    #[test]
    fn a_book_equals_its_model(updates in proptest::collection::vec(update(), 0..400)) {
        let mut book = Book::new(1_000);
        let mut bids = BTreeMap::new();
        let mut asks = BTreeMap::new();
        for Update { is_bid, level } in updates {
            let model = if is_bid { &mut bids } else { &mut asks };
            if level.quantity.is_zero() {
                model.remove(&level.price);
            } else {
                model.insert(level.price, level.quantity);
            }
            if is_bid { book.set_bid(level) } else { book.set_ask(level) }
            let crossed = matches!((bids.last_key_value(), asks.first_key_value()), (Some((bid, _)), Some((ask, _))) if bid >= ask);
            prop_assert_eq!(book.is_crossed(), crossed);
        }
        let pairs = |levels: Vec<Level>| levels.into_iter().map(|level| (level.price, level.quantity)).collect::<Vec<_>>();
        prop_assert_eq!(pairs(book.bids().collect()), bids.into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!(pairs(book.asks().collect()), asks.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(book.best_bid(), book.bids().next());
        prop_assert_eq!(book.best_ask(), book.asks().next());
    }

    #[test]
    fn a_bounded_side_keeps_its_best(prices in proptest::collection::vec(1_i128..100_000, 0..500)) {
        const LEVELS_MAX: usize = 40;
        let mut book = Book::new(LEVELS_MAX);
        let mut all = std::collections::BTreeSet::new();
        for price in prices {
            let level = Level { price: Decimal::new(price, 2).unwrap(), quantity: Decimal::new(1, 0).unwrap() };
            book.set_bid(level);
            all.insert(level.price);
            prop_assert!(book.len() <= LEVELS_MAX + LEVELS_MAX / 8);
        }
        let best: Vec<_> = all.into_iter().rev().take(LEVELS_MAX).collect();
        let kept: Vec<_> = book.bids().map(|level| level.price).take(best.len()).collect();
        prop_assert_eq!(kept, best);
    }
}

#[test]
fn digits_are_kept_and_the_widest_prices_fit() {
    let mut book = Book::new(10);
    for price in ["99999999999999999999", "0.000000000000000001", "100.10"] {
        book.set_ask(Level { price: price.parse().unwrap(), quantity: "1.500".parse().unwrap() });
    }
    let asks: Vec<_> = book.asks().map(|level| format!("{} {}", level.price, level.quantity)).collect();
    assert_eq!(asks, ["0.000000000000000001 1.500", "100.10 1.500", "99999999999999999999 1.500"]);
}
