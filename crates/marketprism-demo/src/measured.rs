//! What a run cost and how late rows came: CPU and memory per process, end-to-end lag. Not whether it was right.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::http::Http;
use crate::stack::Stack;
use crate::usage::Usage;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// How long data flowed, and what the CPU times of `processes` are of.
    watched_milliseconds: u64,
    processes: BTreeMap<&'static str, Usage>,
    lag: BTreeMap<&'static str, Lag>,
}

/// From the exchange's event to the row in the hot tier, in milliseconds.
#[derive(Debug, Serialize)]
struct Lag {
    p50_milliseconds: u64,
    p99_milliseconds: u64,
}

/// What every process had used when the watch began.
pub(crate) struct Before {
    at: Instant,
    processes: BTreeMap<&'static str, Usage>,
}

impl Before {
    pub(crate) fn now(stack: &Stack) -> Self {
        Self { at: Instant::now(), processes: processes(stack) }
    }

    /// What was used since. A process that was restarted counts from its new start.
    pub(crate) fn until_now(&self, stack: &Stack) -> Measured {
        let mut processes = processes(stack);
        for (name, usage) in &mut processes {
            let before = self.processes.get(name).map_or(0, |before| before.cpu_milliseconds);
            usage.cpu_milliseconds =
                usage.cpu_milliseconds.checked_sub(before).unwrap_or(usage.cpu_milliseconds);
        }
        Measured { watched_milliseconds: millis(self.at.elapsed()), processes, lag: BTreeMap::new() }
    }
}

impl Measured {
    /// Adds the lag of all that the hot tier holds. A replay's events are old: there it counts from our receiving.
    pub(crate) async fn ask_lag(&mut self, http: &Http, hot_url: &str, replay: bool) -> Result<(), Failure> {
        let event = if replay { "ts_recv" } else { "timestamp" };
        for (data_type, table) in [("trade", "trades"), ("orderbook", "orderbooks")] {
            let sql = format!(
                "WITH greatest(0, dateDiff('millisecond', {event}, created_at)) AS lag \
                 SELECT toUInt64(quantile(0.5)(lag)), toUInt64(quantile(0.99)(lag)) \
                 FROM marketprism_hot.{table} HAVING count() > 0"
            );
            let lag = &mut self.lag;
            http.query(hot_url, &sql, |line| {
                let mut fields = line.split('\t').filter_map(|field| field.parse().ok());
                if let (Some(p50_milliseconds), Some(p99_milliseconds)) = (fields.next(), fields.next()) {
                    lag.insert(data_type, Lag { p50_milliseconds, p99_milliseconds });
                }
            })
            .await?;
        }
        Ok(())
    }
}

fn processes(stack: &Stack) -> BTreeMap<&'static str, Usage> {
    stack.pids().into_iter().filter_map(|(name, pid)| Some((name, Usage::of(pid)?))).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
