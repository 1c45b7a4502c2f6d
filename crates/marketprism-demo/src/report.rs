//! The result: a table for people, one JSON object for programs.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value, json};

use crate::live::{grouped, place};
use crate::measured::Measured;
use crate::reconcile::{Account, Verdict};

const COUNTS: [&str; 9] =
    ["sent", "hot", "cold", "declared", "lost", "duplicated", "different", "compared", "backfilled"];

/// The table, and what it means.
pub(crate) fn table(verdict: &Verdict, live: bool) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["data type", "exchange"].into_iter().chain(COUNTS));
    for (key, account) in &verdict.accounts {
        let mut cells = vec![key.data_type.clone(), place(key)];
        cells.extend(counts(account).map(grouped));
        table.add_row(cells);
    }
    for column in 2..2 + COUNTS.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{table}\n");
    text.push_str("orderbook: the exchange's updates contained in the stored books; backfilled: trades made while nobody was connected; declared: missing in both tiers, and a gap says so\n");
    for ids in &verdict.trade_ids {
        let (place, missing) =
            (format!("{} {} {}", ids.exchange, ids.market_type, ids.instrument_id), ids.missing);
        text.push_str(&format!(
            "trade ids of {place}: {}…{}, {missing} not stored from the socket\n",
            ids.first, ids.last
        ));
    }
    for finding in &verdict.findings {
        text.push_str(finding);
        text.push('\n');
    }
    for gap in &verdict.gaps {
        let filled = grouped(gap.filled);
        text.push_str(&format!(
            "gaps declared: {} of {} ({}), {filled} messages recovered\n",
            gap.gaps, gap.data_type, gap.reason
        ));
    }
    text.push_str(match (verdict.is_clean(), verdict.proven, live) {
        (true, _, true) => "stored in both tiers alike; what a real exchange sent only it knows, so gaps are what tells of losses\n",
        (true, _, false) => "every message that the exchange sent is stored exactly once, in both tiers, unchanged\n",
        (false, false, _) => "nothing was sent: nothing is proven\n",
        (false, true, _) => "NOT every message is stored exactly once\n",
    });
    text
}

fn counts(account: &Account) -> [u64; 9] {
    let Account { sent, hot, cold, declared, lost, duplicated, different, compared, backfilled, .. } =
        *account;
    [sent, hot, cold, declared, lost, duplicated, different, compared, backfilled]
}

/// `{"data_types":{"trade":{…},"orderbook":{…}},"totals":{…},"gaps":[…],"trade_ids":[…],"clean":true,"usage":{…}}`
pub(crate) fn json(verdict: &Verdict, measured: &Measured) -> Value {
    let mut data_types: Map<String, Value> = Map::new();
    let mut totals = Account::default();
    let mut sums: std::collections::BTreeMap<&str, Account> = std::collections::BTreeMap::new();
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
