//! While the pipeline runs: what is shown, what is restarted, the web console beside it, and how it comes to rest at the end.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::console::Console;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::http::Http;
use crate::live::Screen;
use crate::options::{Options, Restartable};
use crate::password::USER;
use crate::ports::Ports;
use crate::process::Stopped;
use crate::run::Interrupt;
use crate::sample::{Sample, sample};
use crate::settings;
use crate::stack::Stack;

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long both tiers may take to hold everything after the exchange fell silent.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);
/// Counts that stand still for this long will not grow any more: longer than hot-storage's `ack_wait`, after which the broker
/// delivers again what nobody acknowledged.
const SETTLED_AFTER: Duration = Duration::from_secs(40);

/// What watches a pipeline.
pub(crate) struct Watch<'o> {
    options: &'o Options,
    http: &'o Http,
    pub(crate) screen: Screen,
    console: Option<Console>,
}

impl<'o> Watch<'o> {
    pub(crate) fn new(options: &'o Options, http: &'o Http) -> Self {
        Self { options, http, screen: Screen::new(options.details), console: None }
    }

    /// Starts the web console. That there is none is news, and no failure.
    pub(crate) async fn open_console(&mut self, ports: &Ports, folder: &Folder) {
        match Console::start(ports, folder, self.http).await {
            Ok(console) => self.console = Some(console),
            Err(failure) => self.screen.news(format!("no web console: {}", in_a_line(&failure))),
        }
    }

    /// Stops it; `None` without one.
    pub(crate) async fn close_console(&mut self) -> Option<Stopped> {
        self.console.take()?.stop().await
    }

    /// Says where to look besides.
    pub(crate) fn introduce(&mut self, ports: &Ports, folder: &Folder) {
        let mut lines = Vec::new();
        if let Some(console) = &self.console {
            lines.push(format!("console  {}", console.url()));
        }
        let (password, url) =
            (quoted(&folder.password_file().display().to_string()), settings::url(ports.clickhouse_hot));
        lines.push(format!("query    curl -u \"{USER}:$(cat {password})\" \\"));
        lines.push(format!("         {url} -d 'SELECT count() FROM marketprism_hot.trades'"));
        self.screen.introduce(lines);
    }

    /// Shows what flows until time is up, the replay is over, or the user stops it.
    pub(crate) async fn until_the_end(
        &mut self,
        stack: &mut Stack,
        interrupt: &mut Interrupt,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let end = self.options.run_for.map(|run_for| began + run_for);
        let mut restarts = restart_times(self.options, began);
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = interrupt.wait() => {
                    self.screen.news("stopping: everything is drained and reconciled");
                    return Ok(());
                }
                () = wait_until(end) => return Ok(()),
                _ = ticks.tick() => {}
            }
            for news in stack.revive()? {
                self.screen.news(news);
            }
            if let Some(failure) = self.console.as_mut().and_then(Console::ended) {
                self.screen.news(format!("the web console is gone: {}", in_a_line(&failure)));
            }
            if restarts.first().is_some_and(|(at, _)| *at <= Instant::now()) {
                let (_, which) = restarts.remove(0);
                self.screen.news(stack.restart(which).await?);
            }
            if self.look(stack).await.replay_done {
                self.screen.news("the capture is at its end");
                return Ok(());
            }
        }
    }

    /// Takes a sample and shows it.
    async fn look(&mut self, stack: &Stack) -> Sample {
        let taken = sample(stack, self.http, self.options.live, !self.options.replay.is_empty()).await;
        let mut processes = stack.pids();
        processes.extend(self.console.as_ref().and_then(Console::pid));
        self.screen.show(taken.clone(), &processes);
        taken
    }

    /// Silences the exchange, drains the collector, waits until nothing more arrives in either tier, then drains the writers.
    pub(crate) async fn settle(&mut self, stack: &mut Stack) -> Result<(), Failure> {
        let live = self.options.live;
        if !live {
            self.http.post(&format!("{}/control/pause", stack.simulator_url())).await?;
            self.until_read(stack).await?;
        }
        self.drain(stack, "collector").await;
        if !live {
            self.http.post(&format!("{}/control/flush", stack.simulator_url())).await?;
        }
        let began = Instant::now();
        let mut last: Option<(Instant, Sample)> = None;
        while began.elapsed() < SETTLE_PATIENCE {
            let taken = self.look(stack).await;
            if taken.trouble.is_none() && is_settled(&taken) {
                break;
            }
            match &last {
                Some((since, before)) if same(before, &taken) => {
                    if since.elapsed() > SETTLED_AFTER {
                        self.screen.news("the tiers stand still before they hold everything");
                        break;
                    }
                }
                _ => last = Some((Instant::now(), taken)),
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.screen.news(format!("both tiers settled in {:.1} s", began.elapsed().as_secs_f64()));
        self.drain(stack, "hot-storage").await;
        self.drain(stack, "cold-storage").await;
        Ok(())
    }

    /// Waits until the collector has read what the exchange wrote: on a busy machine it is behind.
    async fn until_read(&mut self, stack: &Stack) -> Result<(), Failure> {
        let url = format!("{}/control/status", stack.simulator_url());
        let began = Instant::now();
        loop {
            let status = self.http.get_json(&url).await?;
            let is_zero = |field: &str| status.get(field).and_then(Value::as_i64) == Some(0);
            if is_zero("in_flight") && is_zero("unread_bytes") {
                return Ok(());
            }
            if began.elapsed() > SETTLE_PATIENCE {
                self.screen.news("the collector does not read what the exchange sends");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn drain(&mut self, stack: &mut Stack, name: &str) {
        if let Some(stopped) = stack.stop(name).await {
            let how = if stopped.clean { "drained" } else { "did not drain" };
            self.screen.news(format!("{name} {how} in {:.1} s", stopped.took.as_secs_f64()));
        }
    }
}

/// The first line of a failure, and where its log is; the end of the log is too long for news.
fn in_a_line(failure: &Failure) -> String {
    let text = failure.to_string();
    let first = text.lines().next().unwrap_or_default().to_owned();
    if let Failure::NotReady { log, .. } | Failure::Ended { log, .. } = failure {
        return format!("{first}; its log: {log}");
    }
    first
}

/// A path as a word of a shell inside `"$(…)"`.
fn quoted(path: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || matches!(char, '/' | '.' | '_' | '-');
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// The restarts asked for, spread evenly over the run.
fn restart_times(options: &Options, began: Instant) -> Vec<(Instant, Restartable)> {
    let Some(run_for) = options.run_for else { return Vec::new() };
    let parts = u32::try_from(options.restart.len()).unwrap_or(u32::MAX).saturating_add(1);
    (1..).zip(&options.restart).map(|(number, which)| (began + run_for / parts * number, *which)).collect()
}

fn is_settled(sample: &Sample) -> bool {
    sample.waiting == Some(0) && sample.rows.values().all(|counts| counts.cold >= counts.hot)
}

fn same(a: &Sample, b: &Sample) -> bool {
    let counts = |sample: &Sample| -> Vec<_> {
        sample.rows.iter().map(|(key, counts)| (key.clone(), counts.hot, counts.cold)).collect()
    };
    counts(a) == counts(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_word_of_the_query_line() {
        assert_eq!(quoted("/home/x/.cache/demo/password"), "/home/x/.cache/demo/password");
        assert_eq!(quoted("/home/a b/it's"), r"'/home/a b/it'\''s'");
    }
}
