//! What is known at one moment: the exchange's count of what it sent, and the counts of both tiers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::http::Http;
use crate::stack::Stack;

/// A row of the live table: a data type of an exchange's market.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) data_type: String,
    pub(crate) exchange: String,
    pub(crate) market_type: String,
}

/// Counts of one row at one moment. For order books they are the exchange's updates contained in the stored books.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// How much was sent to be stored; `None` where that is not known, as with a real exchange.
    pub(crate) sent: Option<u64>,
    pub(crate) hot: u64,
    pub(crate) cold: u64,
    pub(crate) duplicated: u64,
    /// From the exchange's event (or, in a replay, our receiving) to the row in the hot tier; median of the last seconds.
    pub(crate) lag_milliseconds: Option<u64>,
}

/// All rows at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) rows: BTreeMap<Key, Counts>,
    pub(crate) replay_done: bool,
    /// Messages in the broker whose storage hot-storage has not confirmed.
    pub(crate) waiting: Option<u64>,
    /// Rows without a table or a simulator that did not answer in time are no failure of the demo; they are said.
    pub(crate) trouble: Option<String>,
    /// What the collector says is not well, one line each: it knows why nothing comes from an exchange.
    pub(crate) complaints: Vec<String>,
}

impl Sample {
    /// Nothing is known.
    pub(crate) fn empty() -> Self {
        Self {
            at: Instant::now(),
            rows: BTreeMap::new(),
            replay_done: false,
            waiting: None,
            trouble: None,
            complaints: Vec::new(),
        }
    }
}

/// What was sent this long ago and is not stored yet counts as lost in the live table.
const LOST_AFTER: Duration = Duration::from_secs(15);
/// Samples kept: enough to look back `LOST_AFTER` at one a second, with room for slow seconds.
const HISTORY_MAX: usize = 60;

/// Samples with complaints before these are shown.
const LASTING_SAMPLES: usize = 4;

/// Samples of the last minute, for rates and for what is overdue.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Sample>);

impl History {
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.0.len() == HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    pub(crate) fn last(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// What the collector complains of and has complained of for some seconds: at its start it has nothing yet, and that is no
    /// complaint worth a line.
    pub(crate) fn complaints(&self) -> &[String] {
        let is_lasting = self.0.len() >= LASTING_SAMPLES
            && self.0.iter().rev().take(LASTING_SAMPLES).all(|sample| !sample.complaints.is_empty());
        self.last().filter(|_| is_lasting).map_or(&[], |sample| &sample.complaints)
    }

    /// Messages stored a second, over the last five samples.
    pub(crate) fn rate(&self, key: &Key) -> u64 {
        let (Some(new), Some(old)) = (self.0.back(), self.0.iter().rev().take(6).next_back()) else {
            return 0;
        };
        let count =
            |sample: &Sample| sample.rows.get(key).map_or(0, |counts| counts.sent.unwrap_or(counts.hot));
        let millis = u64::try_from((new.at - old.at).as_millis()).unwrap_or(u64::MAX);
        (count(new).saturating_sub(count(old)) * 1000).checked_div(millis).unwrap_or(0)
    }

    /// Sent `LOST_AFTER` ago and still not in the hot tier.
    pub(crate) fn overdue(&self, key: &Key) -> Option<u64> {
        let new = self.0.back()?;
        let hot = new.rows.get(key)?.hot;
        let old = self.0.iter().rev().find(|sample| new.at - sample.at >= LOST_AFTER);
        let sent =
            old.map_or(Some(0), |sample| sample.rows.get(key).map_or(Some(0), |counts| counts.sent))?;
        new.rows.get(key)?.sent?;
        Some(sent.saturating_sub(hot))
    }
}

/// Asks everyone once.
pub(crate) async fn sample(stack: &Stack, http: &Http, live: bool, replay: bool) -> Sample {
    let mut sample = Sample::empty();
    // A collector that is being restarted does not answer; that it restarts is said elsewhere.
    if let Ok(health) = http.get_json(&stack.collector_health_url()).await {
        sample.complaints = complaints(&health);
    }
    let outcome = fill(&mut sample, stack, http, live, replay).await;
    // Before hot- and cold-storage have made their tables there is nothing to count, and nothing wrong.
    let failure = outcome.err().map(|failure| failure.to_string());
    sample.trouble =
        failure.filter(|failure| !failure.contains("UNKNOWN_TABLE") && !failure.contains("UNKNOWN_DATABASE"));
    sample
}

async fn fill(
    sample: &mut Sample,
    stack: &Stack,
    http: &Http,
    live: bool,
    replay: bool,
) -> Result<(), Failure> {
    if !live {
        let status = http.get_json(&format!("{}/control/status", stack.simulator_url())).await?;
        sample.replay_done = status.get("replay_done").and_then(Value::as_bool).unwrap_or_default();
        for stream in status.get("streams").and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| stream.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let key = Key {
                data_type: text("data_type"),
                exchange: text("exchange"),
                market_type: text("market_type"),
            };
            let sent = stream.get("sent").and_then(Value::as_u64).unwrap_or_default();
            let is_whole = !is_sampled(&key);
            let counts = sample.rows.entry(key).or_default();
            counts.sent = is_whole.then(|| counts.sent.unwrap_or_default() + sent);
        }
    }
    let broker = http.get_json(&format!("{}/jsz?streams=1&consumers=1", stack.nats_monitor_url())).await?;
    sample.waiting = Some(waiting(&broker));
    let event = if replay { "ts_recv" } else { "timestamp" };
    tier(sample, http, &stack.hot_url(), "marketprism_hot", event, true).await?;
    tier(sample, http, &stack.cold_url(), "marketprism_cold", event, false).await
}

/// Whether the exchange sends more than is to be stored: an answer of REST has values from before it was asked for, and of
/// Deribit's tickers one a second and instrument is taken. The reconciliation at the end tells them apart.
fn is_sampled(key: &Key) -> bool {
    matches!(key.data_type.as_str(), "lsr_top_position" | "lsr_all_account" | "open_interest")
        || key.exchange == "deribit" && key.data_type == "funding_rate"
}

/// The checks of a service's health that are not healthy. Those of the exchanges and of the broker come first: they are why the
/// data types have nothing.
fn complaints(health: &Value) -> Vec<String> {
    let checks = health.get("checks").and_then(Value::as_object);
    let text = |check: &Value, field: &str| check.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut complaints: Vec<_> = checks
        .into_iter()
        .flatten()
        .filter(|(_, check)| text(check, "status").as_deref() != Some("healthy"))
        .filter_map(|(name, check)| Some((name, text(check, "reason")?)))
        .map(|(name, reason)| {
            (!matches!(name.as_str(), "exchanges" | "nats"), format!("collector: {name}: {reason}"))
        })
        .collect();
    complaints.sort();
    complaints.into_iter().map(|(_, complaint)| complaint).collect()
}

/// What the consumers of all streams have not been given, or have not acknowledged.
fn waiting(broker: &Value) -> u64 {
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let accounts = list(broker, "account_details");
    let streams = accounts.iter().flat_map(|account| list(account, "stream_detail"));
    let consumers = streams.flat_map(|stream| list(&stream, "consumer_detail"));
    let count =
        |consumer: &Value, field: &str| consumer.get(field).and_then(Value::as_u64).unwrap_or_default();
    consumers.map(|consumer| count(&consumer, "num_pending") + count(&consumer, "num_ack_pending")).sum()
}

/// What tells events apart that happen once at a time.
const PLAIN: &str = "market_type, instrument_id, timestamp";

async fn tier(
    sample: &mut Sample,
    http: &Http,
    url: &str,
    database: &str,
    event: &str,
    hot: bool,
) -> Result<(), Failure> {
    let lag = format!(
        "toInt64(ifNotFinite(quantileIf(0.5)(dateDiff('millisecond', {event}, created_at), created_at > now64(6) - INTERVAL 5 SECOND), -1))"
    );
    for (data_type, table, count, identity) in [
        ("trade", "trades", "count()", "market_type, instrument_id, isNull(first_trade_id), trade_id"),
        ("orderbook", "orderbooks", "sum(update_count)", "market_type, instrument_id, last_update_id"),
        ("funding_rate", "funding_rates", "count()", PLAIN),
        ("open_interest", "open_interests", "count()", PLAIN),
        (
            "liquidation",
            "liquidations",
            "count()",
            "market_type, instrument_id, timestamp, side, price, quantity",
        ),
        ("lsr_top_position", "lsr_top_positions", "count()", PLAIN),
        ("lsr_all_account", "lsr_all_accounts", "count()", PLAIN),
        (
            "volatility_index",
            "volatility_indices",
            "count()",
            // Deribit sends the candle of this minute again whenever it changes.
            "market_type, instrument_id, timestamp, resolution_seconds, index_value, open, high, low",
        ),
    ] {
        // A tuple, because uniqExact leaves out rows with a NULL among its arguments.
        let sql = format!(
            "SELECT exchange, market_type, {count}, count() - uniqExact(tuple({identity})), {lag} FROM {database}.{table} GROUP BY exchange, market_type"
        );
        let rows = &mut sample.rows;
        http.query(url, &sql, |line| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or_default();
            let (exchange, market_type) = (next().to_owned(), next().to_owned());
            let key = Key { data_type: data_type.to_owned(), exchange, market_type };
            let counts = rows.entry(key).or_default();
            let stored = next().parse().unwrap_or_default();
            counts.duplicated += next().parse::<u64>().unwrap_or_default();
            if hot {
                counts.hot = stored;
                counts.lag_milliseconds = next().parse().ok();
            } else {
                counts.cold = stored;
            }
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_collector_says_why_nothing_comes_and_causes_are_first() {
        let health = json!({ "status": "degraded", "checks": {
            "service": { "status": "healthy" },
            "trade": { "status": "degraded", "reason": "1 of 2 streams are not live" },
            "exchanges": { "status": "degraded", "reason": "okx_spot cannot be reached" },
        } });
        let expected = [
            "collector: exchanges: okx_spot cannot be reached",
            "collector: trade: 1 of 2 streams are not live",
        ];
        assert_eq!(complaints(&health), expected);
        assert_eq!(complaints(&json!({ "error": "x" })), Vec::<String>::new());
    }

    #[test]
    fn complaints_of_the_first_seconds_are_not_shown() {
        let mut history = History::default();
        for at in 0..LASTING_SAMPLES {
            assert_eq!(history.complaints(), &[] as &[String], "{at}");
            history
                .push(Sample { complaints: vec!["collector: no stream yet".to_owned()], ..Sample::empty() });
        }
        assert_eq!(history.complaints(), ["collector: no stream yet"]);
        history.push(Sample::empty());
        assert_eq!(history.complaints(), &[] as &[String]);
    }
}
