//! One round: flow, faults, recovery, silence, comparison.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use marketprism_demo::failure::Failure;
use marketprism_demo::http::Http;
use marketprism_demo::reconcile::{Reconciler, Tier, Verdict};
use marketprism_demo::stack::{COLD_STANDBY, HOT_STANDBY, Stack};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::faults;
use crate::links::Links;
use crate::plan::Fault;
use crate::totals::Totals;

/// How long services may take to be well again while data flows; what is not well by then is a finding.
const WELL_PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take after the exchanges fell silent until everything is stored and agrees: above the half minute in which
/// the collector gives a hole up.
const SETTLE_PATIENCE: Duration = Duration::from_secs(90);
/// Longer than the simulated exchanges' slowest cadence: everything was told once more after the recovery.
const AFTERMATH: Duration = Duration::from_millis(1_200);
const POLL: Duration = Duration::from_millis(250);
/// Between two comparisons.
const COMPARE_POLL: Duration = Duration::from_secs(1);

/// Everything that runs, and what was found so far.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) stack: Stack,
    pub(crate) links: Links,
    pub(crate) http: Http,
    pub(crate) hot: Tier,
    pub(crate) cold: Tier,
    pub(crate) reconciler: Reconciler,
    /// At the end of the round before.
    pub(crate) totals: Totals,
    /// Markets that are collected, by the collector's names.
    pub(crate) markets: BTreeSet<&'static str>,
    /// Trade and book streams of all of them: a collector that has just started knows fewer.
    pub(crate) streams: usize,
}

/// What a round came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Events that the exchanges sent.
    pub(crate) sent: u64,
    /// Messages in the streams.
    pub(crate) messages: u64,
    pub(crate) gaps: u64,
    /// Recovered by backfill.
    pub(crate) filled: u64,
    /// Not recovered, and declared.
    pub(crate) declared: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    /// Instances that ended because they had lost their lease, and were started again.
    pub(crate) ended: Vec<String>,
    /// From the end of the faults until everything was drained and agreed.
    pub(crate) recovery: Duration,
    /// What is wrong; empty for a good round.
    pub(crate) findings: Vec<String>,
}

impl Arena {
    /// Lets data flow, commits the faults, and compares everything afterwards.
    pub(crate) async fn round(&mut self, faults: &[Fault], calm: Duration) -> Result<Outcome, Failure> {
        // 1. Data flows.
        self.control("resume").await?;
        if self.streams == 0 {
            self.wait_well(0).await?;
        }
        sleep(calm).await;
        // 2. Faults.
        faults::commit(faults, &mut self.stack, &self.links).await?;
        let (over, over_us) = (Instant::now(), now_us());
        // 3. Everybody is well again, while data flows.
        let mut troubles = self.wait_well(over_us).await?;
        sleep(AFTERMATH).await;
        // 4. Silence.
        self.control("pause").await?;
        let deadline = Instant::now() + SETTLE_PATIENCE;
        let mut outcome = loop {
            troubles.extend(self.stack.revive()?);
            let is_last = Instant::now() >= deadline;
            if let Some(outcome) = self.compare(is_last).await {
                break outcome?;
            }
            sleep(COMPARE_POLL).await;
        };
        outcome.recovery = over.elapsed();
        // Whoever has lost the lease ends, and begins again as the one that stands by (ADR 0010). Nobody else may end.
        let (ended, findings): (Vec<_>, Vec<_>) =
            troubles.into_iter().partition(|trouble| trouble.starts_with("cold-storage"));
        outcome.ended = ended;
        outcome.findings.extend(findings);
        self.stack.calm();
        Ok(outcome)
    }

    async fn control(&self, order: &str) -> Result<(), Failure> {
        self.http.post(&format!("{}/control/{order}", self.stack.simulator_url())).await
    }

    /// Waits until every service says it is well and every trade and book stream brought something new. What it returns
    /// should not have been: services that ended by themselves, and what was not well in time.
    async fn wait_well(&mut self, since_us: i64) -> Result<Vec<String>, Failure> {
        let deadline = Instant::now() + WELL_PATIENCE;
        let mut found = Vec::new();
        loop {
            found.extend(self.stack.revive()?);
            match self.troubles(since_us).await {
                None => return Ok(found),
                Some(trouble) if Instant::now() >= deadline => {
                    found.push(format!("not well after {} s: {trouble}", WELL_PATIENCE.as_secs()));
                    return Ok(found);
                }
                Some(_) => sleep(POLL).await,
            }
        }
    }

    async fn troubles(&mut self, since_us: i64) -> Option<String> {
        for service in ["hot-storage", HOT_STANDBY, "cold-storage", COLD_STANDBY] {
            if let Err(trouble) = self.http.answers(&self.stack.health_url(service)).await {
                return Some(trouble);
            }
        }
        match self.http.get_json(&self.stack.status_url()).await {
            Ok(status) => {
                self.streams = self.streams.max(watched(&status).count());
                self.market_trouble(&status).or_else(|| stream_trouble(&status, since_us))
            }
            Err(failure) => Some(failure.to_string()),
        }
    }

    /// What the collector does not know yet.
    fn market_trouble(&self, status: &Value) -> Option<String> {
        let connections = status.get("connections").and_then(Value::as_array)?;
        let known: BTreeSet<_> =
            connections.iter().filter_map(|connection| connection.get("exchange")?.as_str()).collect();
        let missing: Vec<_> = self.markets.difference(&known).collect();
        if !missing.is_empty() {
            return Some(format!("the collector has no connection to {missing:?} yet"));
        }
        let streams = watched(status).count();
        (streams < self.streams).then(|| format!("the collector has {streams} streams of {}", self.streams))
    }

    /// What the round came to; `None` where it is not good yet and this is not the `last` attempt.
    async fn compare(&mut self, last: bool) -> Option<Result<Outcome, Failure>> {
        let compared = async {
            let totals =
                Totals::read(&self.http, &self.stack.nats_monitor_url(), &self.hot, &self.cold).await?;
            if !totals.is_drained() && !last {
                return Ok(None);
            }
            self.control("flush").await?;
            let (verdict, mark) = self.reconciler.compare().await?;
            let outcome = self.outcome(&verdict, &totals);
            Ok(Some((outcome, mark, totals)))
        };
        match compared.await {
            Ok(Some((outcome, mark, totals))) if outcome.findings.is_empty() => {
                self.totals = totals;
                Some(self.reconciler.settle(mark).map(|()| outcome))
            }
            Ok(Some((outcome, ..))) if last => Some(Ok(outcome)),
            Ok(_) => None,
            Err(failure) if last => Some(Err(failure)),
            // A tier or the broker is still on its way up.
            Err(_) => None,
        }
    }

    fn outcome(&self, verdict: &Verdict, totals: &Totals) -> Outcome {
        let total = verdict.total();
        let mut findings = verdict.findings.clone();
        findings.extend(totals.findings_since(&self.totals));
        if !verdict.is_clean() && findings.is_empty() {
            findings.push("nothing was sent: nothing is proven".to_owned());
        }
        Outcome {
            sent: total.sent,
            messages: totals.messages().saturating_sub(self.totals.messages()),
            gaps: verdict.gaps.iter().map(|gap| gap.gaps).sum(),
            filled: verdict.gaps.iter().map(|gap| gap.filled).sum(),
            declared: total.declared,
            lost: total.lost,
            duplicated: total.duplicated,
            findings,
            ..Outcome::default()
        }
    }
}

/// The trade and book streams of the collector's status page.
fn watched(status: &Value) -> impl Iterator<Item = &Value> {
    let streams = status.get("streams").and_then(Value::as_array).into_iter().flatten();
    streams.filter(|stream| matches!(text(stream, "data_type"), "trade" | "orderbook"))
}

/// The first of them that is not live, or brought nothing since.
fn stream_trouble(status: &Value, since_us: i64) -> Option<String> {
    let is_well = |stream: &&Value| {
        let newest_us = stream.get("last_event_us").and_then(Value::as_i64).unwrap_or_default();
        text(stream, "state") == "live" && newest_us >= since_us
    };
    let unwell = watched(status).find(|stream| !is_well(stream))?;
    Some(format!("the collector's stream {unwell}"))
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn now_us() -> i64 {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    i64::try_from(micros).unwrap_or(i64::MAX)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, messages, gaps, filled, declared, lost, duplicated, .. } = self;
        write!(
            f,
            "{sent} events sent, {messages} messages, {gaps} gaps ({filled} recovered, {declared} declared), {lost} lost, \
             {duplicated} duplicated, recovered in {:.1} s",
            self.recovery.as_secs_f64()
        )?;
        for line in self.ended.iter().chain(&self.findings) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
