//! Everything but trades and books: each value the exchange told, by its time, against the rows that tell it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use marketprism_core::Decimal;
use serde_json::Value;

use super::findings::Findings;
use super::gaps::Gaps;
use super::windows::Windows;
use super::{Account, Tier, trades::Side};
use crate::failure::Failure;
use crate::http::Http;
use crate::sample::Key;

/// A data type: its table, and its fields in the ledger with their columns. The first `identity` of them say, with
/// instrument and time, which event it is.
struct Shape {
    data_type: &'static str,
    table: &'static str,
    identity: usize,
    fields: &'static [(&'static str, &'static str)],
}

const SHAPES: [Shape; 6] = [
    Shape {
        data_type: "funding_rate",
        table: "funding_rates",
        identity: 0,
        fields: &[
            ("funding_rate", "funding_rate"),
            ("mark_price", "mark_price"),
            ("index_price", "index_price"),
            ("funding_time_us", "toUnixTimestamp64Micro(funding_time)"),
        ],
    },
    Shape {
        data_type: "open_interest",
        table: "open_interests",
        identity: 0,
        fields: &[
            ("open_interest", "open_interest"),
            ("open_interest_base", "open_interest_base"),
            ("open_interest_value", "open_interest_value"),
        ],
    },
    Shape {
        data_type: "liquidation",
        table: "liquidations",
        identity: 3,
        fields: &[
            ("side", "side"),
            ("price", "price"),
            ("quantity", "quantity"),
            ("average_price", "average_price"),
            ("contracts", "contracts"),
        ],
    },
    Shape {
        data_type: "lsr_top_position",
        table: "lsr_top_positions",
        identity: 1,
        fields: &[
            ("period", "period"),
            ("long_short_ratio", "long_short_ratio"),
            ("long_ratio", "long_position_ratio"),
            ("short_ratio", "short_position_ratio"),
        ],
    },
    Shape {
        data_type: "lsr_all_account",
        table: "lsr_all_accounts",
        identity: 1,
        fields: &[
            ("period", "period"),
            ("long_short_ratio", "long_short_ratio"),
            ("long_ratio", "long_account_ratio"),
            ("short_ratio", "short_account_ratio"),
        ],
    },
    Shape {
        data_type: "volatility_index",
        table: "volatility_indices",
        identity: 1,
        fields: &[
            ("resolution_seconds", "resolution_seconds"),
            ("index_value", "index_value"),
            ("open", "open"),
            ("high", "high"),
            ("low", "low"),
        ],
    },
];

/// Whether not every event is taken: Deribit tells funding and open interest with every ticker, of which at most one a second
/// and instrument is, and an answer of REST has rows from before anybody asked.
fn is_sampled(exchange: &str, data_type: &str, line: &Value) -> bool {
    let is_ticker = exchange == "deribit" && matches!(data_type, "funding_rate" | "open_interest");
    is_ticker || line.get("source").is_some_and(|source| source == "rest")
}

/// A value by what it is worth, not by how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Worth {
    Number(i128),
    Text(String),
}

impl Worth {
    fn of(text: &str) -> Self {
        // What an exchange calculated has more decimals than tables keep.
        Decimal::parse_rounded(text.as_bytes())
            .map_or_else(|_| Self::Text(text.to_owned()), |number| Self::Number(number.units()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    key: Key,
    instrument_id: String,
    event_us: i64,
    values: Vec<Option<Worth>>,
}

/// One event the exchange told: what it said, and how many rows of each tier tell it.
#[derive(Debug)]
struct Known {
    values: Vec<Option<Worth>>,
    is_sampled: bool,
    hot: u64,
    cold: u64,
}

/// All events known.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Several where one instrument told more than one thing at a time.
    known: HashMap<Identity, Vec<Known>>,
    accounts: BTreeMap<Key, Account>,
    findings: Findings,
}

/// What may still be stored of what was told before a mark: values of REST, which are told when they are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct EventsMark(Vec<(Identity, Vec<Option<Worth>>)>);

impl Events {
    /// Continues after a mark.
    pub(super) fn after(mark: &EventsMark) -> Self {
        let mut events = Self::default();
        for (identity, values) in mark.0.iter().cloned() {
            let known = Known { values, is_sampled: true, hot: 0, cold: 0 };
            events.known.entry(identity).or_default().push(known);
        }
        events
    }

    /// What was told and is in no tier yet, where that is no loss.
    pub(super) fn mark(&self) -> EventsMark {
        let open = |known: &&Known| known.is_sampled && known.hot + known.cold == 0;
        let of = |(identity, told): (&Identity, &Vec<Known>)| -> Vec<_> {
            told.iter().filter(open).map(|known| (identity.clone(), known.values.clone())).collect()
        };
        EventsMark(self.known.iter().flat_map(of).collect())
    }

    /// Enters a line of the ledger. `None` for a data type that is not known, or a line without time.
    pub(super) fn sent(&mut self, line: &Value) -> Option<()> {
        let text = |field: &str| line.get(field)?.as_str().map(str::to_owned);
        let data_type = text("data_type")?;
        let shape = SHAPES.iter().find(|shape| shape.data_type == data_type)?;
        let values: Vec<_> = shape
            .fields
            .iter()
            .map(|(field, _)| {
                let value = line.get(*field)?;
                Some(value.as_str().map_or_else(|| Worth::of(&value.to_string()), Worth::of))
            })
            .collect();
        let key = Key { data_type, exchange: text("exchange")?, market_type: text("market_type")? };
        let is_sampled = is_sampled(&key.exchange, &key.data_type, line);
        let event_us = line.get("ts_event_us")?.as_i64()?;
        let identity = identity(shape, key, text("instrument_id")?, event_us, &values);
        let same = self.known.entry(identity).or_default();
        // The same thing told on two channels is one event.
        if !same.iter().any(|known| known.values == values) {
            same.push(Known { values, is_sampled, hot: 0, cold: 0 });
        }
        Some(())
    }

    /// Enters every row a tier holds.
    pub(super) async fn read_tier(
        &mut self,
        http: &Http,
        tier: &Tier,
        side: Side,
        windows: Windows<'_>,
    ) -> Result<(), Failure> {
        for shape in &SHAPES {
            let columns: Vec<_> = shape.fields.iter().map(|(_, column)| *column).collect();
            let sql = format!(
                "SELECT exchange, market_type, instrument_id, toUnixTimestamp64Micro(timestamp), {} FROM {}.{} WHERE {}",
                columns.join(", "),
                tier.database,
                shape.table,
                windows.condition(shape.table)
            );
            http.query(&tier.url, &sql, |line| {
                let mut fields = line.split('\t');
                let mut next = || fields.next().unwrap_or_default();
                let (exchange, market_type) = (next().to_owned(), next().to_owned());
                let key = Key { data_type: shape.data_type.to_owned(), exchange, market_type };
                let (instrument_id, event_us) = (next().to_owned(), next().parse().unwrap_or_default());
                let values = shape.fields.iter().map(|_| match next() {
                    r"\N" => None,
                    text => Some(Worth::of(text)),
                });
                let values: Vec<_> = values.collect();
                let identity = identity(shape, key, instrument_id, event_us, &values);
                self.stored(&identity, &values, side);
            })
            .await?;
        }
        Ok(())
    }

    fn stored(&mut self, identity: &Identity, values: &[Option<Worth>], side: Side) {
        let account = self.accounts.entry(identity.key.clone()).or_default();
        if side == Side::Hot {
            account.rows += 1;
        }
        let Some(told) = self.known.get_mut(identity) else {
            if side == Side::Hot {
                account.unexpected += 1;
                self.findings.add(|| format!("unexpected: {identity}"));
            }
            return;
        };
        account.compared += 1;
        match told.iter_mut().find(|known| tells(values, &known.values)) {
            Some(known) => *(if side == Side::Hot { &mut known.hot } else { &mut known.cold }) += 1,
            None => {
                account.different += 1;
                self.findings.add(|| format!("different in {side:?}: {identity}"));
            }
        }
    }

    /// Turns what was entered into accounts.
    pub(super) fn settle(mut self, gaps: &Gaps, accounts: &mut BTreeMap<Key, Account>) -> Findings {
        for (identity, told) in &self.known {
            let Identity { key, instrument_id, event_us, .. } = identity;
            let account = self.accounts.entry(key.clone()).or_default();
            for known in told.iter().filter(|known| !known.is_sampled || known.hot + known.cold > 0) {
                account.sent += 1;
                account.hot += u64::from(known.hot > 0);
                account.cold += u64::from(known.cold > 0);
                let (hot, cold) = (known.hot, known.cold);
                let declared = || gaps.of(&key.exchange, &key.market_type, instrument_id, &key.data_type);
                if hot + cold == 0 && declared().has_time(*event_us) {
                    account.declared += 1;
                } else if hot == 0 || cold == 0 {
                    account.lost += 1;
                    self.findings.add(|| format!("lost: {identity}, {hot} rows in hot, {cold} in cold"));
                }
                let twice = hot.saturating_sub(1) + cold.saturating_sub(1);
                account.duplicated += twice;
                if twice > 0 {
                    self.findings
                        .add(|| format!("duplicated: {identity}, {hot} rows in hot, {cold} in cold"));
                }
            }
        }
        accounts.extend(self.accounts);
        self.findings
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { data_type, exchange, market_type } = &self.key;
        write!(f, "{data_type} of {exchange} {market_type} {} at {} µs", self.instrument_id, self.event_us)
    }
}

fn identity(
    shape: &Shape,
    key: Key,
    instrument_id: String,
    event_us: i64,
    values: &[Option<Worth>],
) -> Identity {
    let values = values.iter().take(shape.identity).cloned().collect();
    Identity { key, instrument_id, event_us, values }
}

/// Whether a row says everything the exchange said. It may say more: shares that are calculated from a ratio.
fn tells(row: &[Option<Worth>], told: &[Option<Worth>]) -> bool {
    row.iter().zip(told).all(|(row, told)| told.is_none() || row == told)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(exchange: &str, value: &str) -> Value {
        json!({
            "data_type": "open_interest", "exchange": exchange, "market_type": "perpetual",
            "instrument_id": "BTC", "open_interest": value, "ts_event_us": 5,
        })
    }

    fn account(exchange: &str, rows: &[(Side, &str)]) -> Account {
        let mut events = Events::default();
        events.sent(&line(exchange, "1.50")).unwrap();
        for (side, value) in rows {
            let values = [Some(Worth::of(value)), Some(Worth::of("7")), None];
            let (identity, _) = events.known.iter().next().unwrap();
            let identity = identity.clone();
            events.stored(&identity, &values, *side);
        }
        let mut accounts = BTreeMap::new();
        events.settle(&Gaps::default(), &mut accounts);
        accounts.into_values().next().unwrap()
    }

    #[test]
    fn every_way_to_be_wrong_is_seen() {
        let clean = account("okx", &[(Side::Hot, "1.5"), (Side::Cold, "1.5")]);
        assert!(clean.is_clean() && clean.sent == 1 && clean.compared == 2, "{clean:?}");
        assert_eq!(account("okx", &[(Side::Hot, "1.5")]).lost, 1);
        assert_eq!(
            account("okx", &[(Side::Hot, "1.5"), (Side::Hot, "1.5"), (Side::Cold, "1.5")]).duplicated,
            1
        );
        assert_eq!(account("okx", &[(Side::Hot, "1.6"), (Side::Cold, "1.5")]).different, 1);
        assert!(account("deribit", &[]).is_clean(), "sampled: one that was not taken is no loss");
        assert_eq!(account("deribit", &[(Side::Hot, "1.5")]).lost, 1);
    }
}
