//! The result: a table for people, one JSON object for programs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::columns::wrap;
use crate::flows::place;
use crate::measured::Measured;
use crate::reconcile::{Account, Verdict};
use crate::table::{Cell, Table, grouped};

/// A count with its name.
type Column = (&'static str, fn(&Account) -> u64);
const COLUMNS: [Column; 9] = [
    ("sent", |account| account.sent),
    ("hot", |account| account.hot),
    ("cold", |account| account.cold),
    ("declared", |account| account.declared),
    ("lost", |account| account.lost),
    ("duplicated", |account| account.duplicated),
    ("different", |account| account.different),
    ("compared", |account| account.compared),
    ("backfilled", |account| account.backfilled),
];
/// Without details these have no column, so that exact numbers fit a line; nothing declared has none either.
const DETAILS: [&str; 2] = ["compared", "backfilled"];
/// Messages that are wrong, shown without details.
const FINDINGS_SHOWN: usize = 5;

/// The table, and what it means, in lines of at most `columns`; `details` has a line for each market.
pub(crate) fn table(verdict: &Verdict, live: bool, details: bool, columns: usize) -> String {
    let columns_shown = columns_of(verdict, details);
    let mut lines = accounts(verdict, details, &columns_shown).lines(columns);
    let mut say = |text: &str| lines.extend(wrap(text, columns, 2));
    say("orderbook: the exchange's updates that the stored books contain");
    if columns_shown.iter().any(|(name, _)| *name == "declared") {
        say("declared: missing in both tiers, and a gap says so");
    }
    if details {
        say("compared: stored contents that were compared with what was sent");
        say("backfilled: events of a time when nothing was connected, fetched afterwards");
        for ids in &verdict.trade_ids {
            let place = format!("{} {} {}", ids.exchange, ids.market_type, ids.instrument_id);
            let (first, last, missing) = (&ids.first, &ids.last, ids.missing);
            say(&format!("trade ids of {place}: {first}…{last}, {missing} not stored from the socket"));
        }
    }
    let shown = if details { verdict.findings.len() } else { FINDINGS_SHOWN };
    verdict.findings.iter().take(shown).for_each(|finding| say(finding));
    if let more @ 1.. = verdict.findings.len().saturating_sub(shown) {
        say(&format!("… and {more} more; --details names them"));
    }
    for gap in &verdict.gaps {
        let filled = grouped(gap.filled);
        let (count, data_type, reason) = (gap.gaps, &gap.data_type, &gap.reason);
        say(&format!("gaps declared: {count} of {data_type} ({reason}), {filled} messages recovered"));
    }
    say(match (verdict.is_clean(), verdict.proven, live) {
        (true, _, true) => {
            "both tiers hold the same; only a real exchange knows what it sent, so losses are what gaps declare"
        }
        (true, _, false) => "every message that the exchange sent is in both tiers exactly once, unchanged",
        (false, false, true) => "nothing was stored: nothing is proven",
        (false, false, false) => "nothing was sent: nothing is proven",
        (false, true, _) => "NOT every message is stored exactly once",
    });
    lines.join("\n") + "\n"
}

fn columns_of(verdict: &Verdict, details: bool) -> Vec<Column> {
    let is_declared = verdict.total().declared > 0;
    let is_shown =
        |(name, _): &Column| details || !DETAILS.contains(name) && (is_declared || *name != "declared");
    COLUMNS.into_iter().filter(is_shown).collect()
}

fn accounts(verdict: &Verdict, details: bool, columns: &[Column]) -> Table {
    let mut rows: BTreeMap<(&str, Option<String>), Account> = BTreeMap::new();
    for (key, account) in &verdict.accounts {
        rows.entry((&key.data_type, details.then(|| place(key)))).or_default().add(account);
    }
    let mut header = vec!["data type"];
    header.extend(details.then_some("market"));
    header.extend(columns.iter().map(|(name, _)| *name));
    let row = |((data_type, place), account): ((&str, Option<String>), Account)| {
        let mut cells = vec![Cell::Text(data_type.to_owned())];
        cells.extend(place.map(Cell::Text));
        cells.extend(columns.iter().map(|(_, count)| Cell::Count(Some(count(&account)))));
        cells
    };
    Table { header, rows: rows.into_iter().map(row).collect() }
}

/// `{"data_types":{"trade":{…},"orderbook":{…}},"totals":{…},"gaps":[…],"trade_ids":[…],"clean":true,"usage":{…}}`
pub(crate) fn json(verdict: &Verdict, measured: &Measured) -> Value {
    let mut data_types: Map<String, Value> = Map::new();
    let mut totals = Account::default();
    let mut sums: BTreeMap<&str, Account> = BTreeMap::new();
    for (key, account) in &verdict.accounts {
        sums.entry(&key.data_type).or_default().add(account);
        totals.add(account);
    }
    for (data_type, account) in sums {
        data_types.insert(data_type.to_owned(), json!(account));
    }
    json!({
        "data_types": data_types,
        "totals": totals,
        "gaps": verdict.gaps,
        "trade_ids": verdict.trade_ids,
        "clean": verdict.is_clean(),
        "usage": measured,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::columns::width;
    use crate::sample::Key;

    fn verdict(sent: u64, findings: usize) -> Verdict {
        let key = |data_type: &str, market_type: &str| Key {
            data_type: data_type.to_owned(),
            exchange: "binance".to_owned(),
            market_type: market_type.to_owned(),
        };
        let account = Account { sent, hot: sent, cold: sent, ..Account::default() };
        let keys = [key("trade", "spot"), key("trade", "perpetual"), key("lsr_top_position", "perpetual")];
        Verdict {
            accounts: keys.into_iter().map(|key| (key, account)).collect(),
            findings: (0..findings)
                .map(|at| format!("trade {at} of binance spot BTCUSDT is missing in hot"))
                .collect(),
            proven: true,
            ..Verdict::default()
        }
    }

    #[test]
    fn the_result_fits_80_columns_with_a_line_for_each_data_type() {
        for sent in [0, 9_876, 123_456_789, u64::MAX / 4] {
            let text = table(&verdict(sent, 0), false, false, 80);
            assert!(text.lines().all(|line| width(line) <= 80), "{text}");
            assert_eq!(text.lines().filter(|line| line.starts_with("trade ")).count(), 1, "{text}");
        }
        let text = table(&verdict(1_234_567, 0), false, false, 80);
        assert!(text.contains("1\u{202f}234\u{202f}567"), "numbers of seven digits are exact: {text}");
        assert!(!text.contains("declared"), "nothing is: {text}");
        let text = table(&verdict(1_000, 0), false, false, 80);
        assert!(text.contains("2\u{202f}000"), "the sum of both markets: {text}");
        assert!(text.contains("in both tiers exactly once"), "{text}");
    }

    #[test]
    fn details_have_a_line_for_each_market_and_every_column() {
        let text = table(&verdict(1_000, 0), false, true, usize::MAX);
        assert_eq!(text.lines().filter(|line| line.starts_with("trade ")).count(), 2, "{text}");
        assert!(text.contains("binance perpetual") && text.contains("backfilled"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_of_it_counted() {
        let text = table(&verdict(1, 7), false, false, 80);
        assert!(text.contains("trade 4 of") && !text.contains("trade 5 of"), "{text}");
        assert!(text.contains("… and 2 more; --details names them"), "{text}");
        assert!(table(&verdict(1, 7), false, true, 80).contains("trade 6 of"));
    }
}
