//! The rows of the live table: what was sent and what each tier holds, by data type, or by data type and market.

use std::collections::BTreeMap;

use crate::sample::{History, Key};
use crate::table::{Cell, Table};

/// One row.
#[derive(Debug)]
struct Flow {
    rate: u64,
    /// `None` where it is not known, as with a real exchange.
    sent: Option<u64>,
    hot: u64,
    cold: u64,
    lost: Option<u64>,
    duplicated: u64,
    /// Of the slowest market.
    lag_milliseconds: Option<u64>,
}

impl Flow {
    const NONE: Self = Self {
        rate: 0,
        sent: Some(0),
        hot: 0,
        cold: 0,
        lost: Some(0),
        duplicated: 0,
        lag_milliseconds: None,
    };
}

/// The table of a moment; `details` has a row for each market.
pub(crate) fn flows(history: &History, details: bool) -> Table {
    let mut rows: BTreeMap<(String, Option<String>), Flow> = BTreeMap::new();
    for (key, counts) in history.last().iter().flat_map(|sample| &sample.rows) {
        let row = (key.data_type.clone(), details.then(|| place(key)));
        let flow = rows.entry(row).or_insert(Flow::NONE);
        flow.rate += history.rate(key);
        flow.sent = sum(flow.sent, counts.sent);
        flow.hot += counts.hot;
        flow.cold += counts.cold;
        flow.lost = sum(flow.lost, history.overdue(key));
        flow.duplicated += counts.duplicated;
        flow.lag_milliseconds = flow.lag_milliseconds.max(counts.lag_milliseconds);
    }
    let mut header = vec!["data type"];
    header.extend(details.then_some("market"));
    let duplicated = if details { "dup" } else { "duplicated" };
    header.extend(["rate/s", "sent", "hot", "cold", "lost", duplicated, "lag"]);
    let row = |((data_type, place), flow): ((String, Option<String>), Flow)| {
        let mut cells = vec![Cell::Text(data_type)];
        cells.extend(place.map(Cell::Text));
        cells.extend([
            Cell::Count(Some(flow.rate)),
            Cell::Count(flow.sent),
            Cell::Count(Some(flow.hot)),
            Cell::Count(Some(flow.cold)),
            Cell::Count(flow.lost),
            Cell::Count(Some(flow.duplicated)),
            Cell::Lag(flow.lag_milliseconds),
        ]);
        cells
    };
    Table { header, rows: rows.into_iter().map(row).collect() }
}

/// Not known where a part of it is not.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one? + other?)
}

/// `binance spot`
pub(crate) fn place(key: &Key) -> String {
    format!("{} {}", key.exchange, key.market_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::columns::width;
    use crate::sample::{Counts, Sample};

    /// Every data type of five markets.
    fn history(count: u64, sent: Option<u64>) -> History {
        let mut sample = Sample::empty();
        for data_type in [
            "funding_rate",
            "liquidation",
            "lsr_all_account",
            "lsr_top_position",
            "open_interest",
            "orderbook",
            "trade",
            "volatility_index",
        ] {
            for (exchange, market_type) in [
                ("binance", "spot"),
                ("binance", "perpetual"),
                ("okx", "spot"),
                ("okx", "perpetual"),
                ("deribit", "perpetual"),
            ] {
                let [data_type, exchange, market_type] =
                    [data_type, exchange, market_type].map(str::to_owned);
                let counts =
                    Counts { sent, hot: count, cold: count, duplicated: 0, lag_milliseconds: Some(544) };
                sample.rows.insert(Key { data_type, exchange, market_type }, counts);
            }
        }
        let mut history = History::default();
        history.push(sample);
        history
    }

    fn lines(count: u64, sent: Option<u64>, details: bool) -> Vec<String> {
        let lines = flows(&history(count, sent), details).lines(80);
        assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
        lines.iter().map(|line| line.replace('\u{202f}', " ")).collect()
    }

    #[test]
    fn a_data_type_is_one_line_with_the_sums_of_its_markets() {
        let lines = lines(1_000, Some(1_000), false);
        assert_eq!(lines.len(), 2 + 8, "{lines:#?}");
        let words: Vec<_> = lines[8].split_whitespace().collect();
        assert_eq!(words, ["trade", "0", "5", "000", "5", "000", "5", "000", "0", "0", "544", "ms"]);
    }

    #[test]
    fn details_are_a_line_for_each_market_and_fit_80_columns() {
        let lines = lines(9_876_543_210, Some(9_876_543_210), true);
        assert_eq!(lines.len(), 2 + 40, "{lines:#?}");
        let line = lines.iter().find(|line| line.starts_with("lsr_top_position binance perpetual")).unwrap();
        assert!(line.contains(" 9.87G") && line.ends_with("544 ms"), "{line}");
    }

    #[test]
    fn what_a_real_exchange_sent_is_not_known() {
        let lines = lines(1_000, None, false);
        let words: Vec<_> = lines[8].split_whitespace().collect();
        assert_eq!(words, ["trade", "0", "–", "5", "000", "5", "000", "–", "0", "544", "ms"]);
    }
}
