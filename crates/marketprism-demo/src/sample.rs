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
    /// `None` where nobody can say, as with a real exchange.
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
}

/// What was sent this long ago and is not stored yet counts as lost in the live table.
const LOST_AFTER: Duration = Duration::from_secs(15);
/// Samples kept: enough to look back `LOST_AFTER` at one a second, with room for slow seconds.
const HISTORY_MAX: usize = 60;

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
    let mut sample = Sample {
        at: Instant::now(),
        rows: BTreeMap::new(),
        replay_done: false,
        waiting: None,
        trouble: None,
    };
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
            let counts = sample.rows.entry(key).or_default();
            counts.sent = Some(counts.sent.unwrap_or_default() + sent);
        }
    }
    let broker = http.get_json(&format!("{}/jsz?streams=1&consumers=1", stack.nats_monitor_url())).await?;
    sample.waiting = Some(waiting(&broker));
    let event = if replay { "ts_recv" } else { "timestamp" };
    tier(sample, http, &stack.hot_url(), "marketprism_hot", event, true).await?;
    tier(sample, http, &stack.cold_url(), "marketprism_cold", event, false).await
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
            "market_type, instrument_id, timestamp, resolution_seconds",
        ),
    ] {
        let sql = format!(
            "SELECT exchange, market_type, {count}, count() - uniqExact({identity}), {lag} FROM {database}.{table} GROUP BY exchange, market_type"
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
