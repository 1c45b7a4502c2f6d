//! What must hold when everything is over, whatever went wrong in between: books are the exchange's own, trades are there
//! once or declared missing.

use std::collections::{BTreeMap, HashMap, HashSet};

use marketprism_core::DataType;
use serde_json::Value;

use crate::rig::{Stored, place};

/// Every published book has the best bid and ask that the exchange's book had at that update. Only the book a chain begins
/// with can be of an update that was kept from every socket: it comes from REST. How many were compared.
pub(crate) fn assert_books_are_the_exchanges(stored: &Stored) -> usize {
    let lines = stored.ledger.iter().filter(|line| line["data_type"] == "orderbook");
    let id = |value: &Value| value["last_update_id"].as_u64().unwrap();
    let truth: HashMap<(String, u64), &Value> = lines.map(|line| ((place(line), id(line)), line)).collect();
    let mut compared = 0;
    for book in stored.of(DataType::OrderBook) {
        let Some(line) = truth.get(&(place(book), id(book))) else {
            assert!(book.get("previous_update_id").is_none(), "the exchange never sent the update of {book}");
            continue;
        };
        for (side, best) in [("bids", "best_bid"), ("asks", "best_ask")] {
            let same = |at: usize| plain(&book[side][0][at]) == plain(&line[best][at]);
            assert!(same(0) && same(1), "{side} of {book}\nare not those of {line}");
        }
        compared += 1;
    }
    compared
}

/// Each trade that was sent, or whose number lies between two that were stored, is stored once or lies in a gap.
pub(crate) fn assert_trades_are_whole_or_declared(stored: &Stored) {
    let mut numbers: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    let mut ids = HashSet::new();
    for trade in stored.of(DataType::Trade) {
        let id = (place(trade), trade["trade_id"].as_str().unwrap().to_owned());
        assert!(ids.insert(id), "stored twice: {trade}");
        let last = number(trade);
        let first = trade["first_trade_id"].as_u64().filter(|_| trade["exchange"] == "okx").unwrap_or(last);
        numbers.entry(place(trade)).or_default().push((first, last));
    }
    let gaps: Vec<_> = stored.of(DataType::Gap).filter(|gap| gap["missing_data_type"] == "trade").collect();
    let declared = |key: &str, number: u64| {
        gaps.iter().any(|gap| {
            place(gap) == key
                && gap["from_sequence"].as_u64().is_some_and(|from| from <= number)
                && gap["to_sequence"].as_u64().is_some_and(|to| number <= to)
        })
    };
    for (key, covered) in &mut numbers {
        covered.sort_unstable();
        for pair in covered.windows(2) {
            for missing in pair[0].1 + 1..pair[1].0 {
                assert!(declared(key, missing), "{key} {missing} is neither stored nor declared\n{gaps:?}");
            }
        }
    }
    for line in stored.ledger.iter().filter(|line| line["data_type"] == "trade") {
        let id = (place(line), line["trade_id"].as_str().unwrap().to_owned());
        let is_there = ids.contains(&id) || declared(&id.0, number(line));
        assert!(is_there, "sent, but neither stored nor declared: {line}\n{gaps:?}");
    }
}

/// The consecutive number of a stored trade or of a line of the ledger.
fn number(trade: &Value) -> u64 {
    let consecutive = trade.get("trade_sequence").or(trade.get("trade_seq")).and_then(Value::as_u64);
    consecutive.unwrap_or_else(|| trade["trade_id"].as_str().unwrap().parse().unwrap())
}

/// Decimal text without the zeros that say nothing.
fn plain(value: &Value) -> &str {
    let text = value.as_str().unwrap();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
