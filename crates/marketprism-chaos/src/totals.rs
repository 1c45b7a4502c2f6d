//! How many messages the streams hold, and how many rows each tier: whether all has arrived, and whether it adds up.

use std::collections::BTreeMap;

use marketprism_demo::failure::Failure;
use marketprism_demo::http::Http;
use marketprism_demo::reconcile::{TABLES, Tier};
use serde_json::Value;

/// Counts at one moment, by stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    streams: BTreeMap<String, Counts>,
    /// Messages handed out and not acknowledged, or not handed out yet.
    waiting: u64,
    /// Messages that could not be stored.
    dead_letters: u64,
}

/// One stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    last_sequence: u64,
    hot: u64,
    cold: u64,
}

impl Totals {
    pub(crate) async fn read(http: &Http, monitor: &str, hot: &Tier, cold: &Tier) -> Result<Self, Failure> {
        let broker = http.get_json(&format!("{monitor}/jsz?streams=1&consumers=1")).await?;
        let mut totals = Self::of_broker(&broker);
        for (tier, is_hot) in [(hot, true), (cold, false)] {
            for (table, stream) in TABLES {
                let counts = totals.streams.entry(stream.to_owned()).or_default();
                let count = if is_hot { &mut counts.hot } else { &mut counts.cold };
                let sql = format!("SELECT count() FROM {}.{table}", tier.database);
                http.query(&tier.url, &sql, |line| *count += line.trim().parse::<u64>().unwrap_or_default())
                    .await?;
            }
        }
        Ok(totals)
    }

    fn of_broker(broker: &Value) -> Self {
        let list = |value: &Value, field: &str| {
            value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let count =
            |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let mut totals = Self::default();
        let accounts = list(broker, "account_details");
        for stream in accounts.iter().flat_map(|account| list(account, "stream_detail")) {
            let name = stream.get("name").and_then(Value::as_str).unwrap_or_default();
            if name == "DEAD_LETTER" {
                totals.dead_letters = count(&stream, "/state/messages");
                continue;
            }
            for consumer in list(&stream, "consumer_detail") {
                totals.waiting += count(&consumer, "/num_pending") + count(&consumer, "/num_ack_pending");
            }
            if let Some((_, stream_name)) = TABLES.iter().find(|(_, stream_name)| *stream_name == name) {
                let last_sequence = count(&stream, "/state/last_seq");
                totals
                    .streams
                    .insert((*stream_name).to_owned(), Counts { last_sequence, ..Counts::default() });
            }
        }
        totals
    }

    /// Nothing is on its way any more: every message is acknowledged, and the tiers hold equally much.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting == 0 && self.streams.values().all(|counts| counts.hot == counts.cold)
    }

    /// Messages in the streams.
    pub(crate) fn messages(&self) -> u64 {
        self.streams.values().map(|counts| counts.last_sequence).sum()
    }

    /// What does not add up since `before`: each message is one row in either tier, and none is a dead letter.
    pub(crate) fn findings_since(&self, before: &Self) -> Vec<String> {
        let mut findings = Vec::new();
        for (stream, now) in &self.streams {
            let then = before.streams.get(stream).copied().unwrap_or_default();
            if now.last_sequence < then.last_sequence {
                findings.push(format!(
                    "{stream} became shorter: it ended at {}, now at {}",
                    then.last_sequence, now.last_sequence
                ));
                continue;
            }
            let messages = now.last_sequence - then.last_sequence;
            for (tier, rows) in [
                ("hot", i128::from(now.hot) - i128::from(then.hot)),
                ("cold", i128::from(now.cold) - i128::from(then.cold)),
            ] {
                if rows != i128::from(messages) {
                    findings.push(format!("{stream}: {messages} messages are {rows} rows in {tier}"));
                }
            }
        }
        let letters = self.dead_letters.saturating_sub(before.dead_letters);
        if letters > 0 {
            findings.push(format!("{letters} messages became dead letters"));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(last_sequence: u64, hot: u64, cold: u64) -> Totals {
        let streams = BTreeMap::from([("S".to_owned(), Counts { last_sequence, hot, cold })]);
        Totals { streams, ..Totals::default() }
    }

    #[test]
    fn a_row_too_many_or_too_few_and_a_shorter_stream_are_found() {
        let before = totals(10, 10, 10);
        assert_eq!(totals(12, 12, 12).findings_since(&before), Vec::<String>::new());
        assert_eq!(totals(12, 13, 12).findings_since(&before), ["S: 2 messages are 3 rows in hot"]);
        assert_eq!(totals(12, 12, 11).findings_since(&before), ["S: 2 messages are 1 rows in cold"]);
        assert_eq!(totals(9, 10, 10).findings_since(&before), ["S became shorter: it ended at 10, now at 9"]);
        let letters = Totals { dead_letters: 1, ..before.clone() };
        assert_eq!(letters.findings_since(&before), ["1 messages became dead letters"]);
        assert!(totals(12, 12, 12).is_drained() && !totals(12, 12, 11).is_drained());
    }
}
