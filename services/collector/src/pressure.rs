//! How short the collector is of memory, descriptors, queue places and time, as a level that every session obeys.
//!
//! Each resource is measured against its limit, in percent; the worst decides. A level is entered at its threshold and left
//! ten points below it, so that it does not flutter.

use std::fmt;
use std::time::Duration;

use marketprism_exchanges::Pressure;
use marketprism_service::{CancellationToken, Check, ConfigError, Context, Health, HumanDuration, Report};
use procfs::process::{LimitValue, Process};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::metrics::{PressureMetrics, ResourceMetrics};
use crate::publish::PublishLag;
use crate::queue::Fill;

/// How often the resources are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// Percent of a resource's limit from which on a level holds.
const THRESHOLDS: [(Pressure, u64); 3] =
    [(Pressure::SlowBooks, 70), (Pressure::PausePolls, 80), (Pressure::HoldBooks, 90)];
/// So far below its threshold a level is left.
const RELEASE_PERCENT: u64 = 10;

/// The limits that pressure is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PressureConfig {
    /// Memory the process should stay below (resident set).
    pub(crate) memory_bytes_max: u64,
    /// Open files and sockets it should stay below; the process's limit when absent.
    pub(crate) descriptors_max: Option<u64>,
    /// How long a message may wait between its receipt and the publisher.
    pub(crate) publish_lag_max: HumanDuration,
}

impl Default for PressureConfig {
    fn default() -> Self {
        Self {
            // Three times what 150 symbols need.
            memory_bytes_max: 512 << 20,
            descriptors_max: None,
            publish_lag_max: HumanDuration::from_secs(10),
        }
    }
}

impl PressureConfig {
    /// # Errors
    /// Names the field and its value.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.memory_bytes_max < 16 << 20 {
            let reason = "is less than the program itself needs: 16777216";
            return Err(ConfigError::invalid("pressure.memory_bytes_max", self.memory_bytes_max, reason));
        }
        if let Some(descriptors) = self.descriptors_max.filter(|descriptors| *descriptors < 32) {
            let reason = "is less than the program itself needs: 32";
            return Err(ConfigError::invalid("pressure.descriptors_max", descriptors, reason));
        }
        if self.publish_lag_max.get() < Duration::from_millis(100) {
            let reason = "must be at least 100ms: a broker's hiccup is no pressure";
            return Err(ConfigError::invalid("pressure.publish_lag_max", self.publish_lag_max, reason));
        }
        Ok(())
    }
}

/// What can run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Memory,
    Descriptors,
    Queue,
    PublishLag,
}

impl Resource {
    const ALL: [Self; 4] = [Self::Memory, Self::Descriptors, Self::Queue, Self::PublishLag];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Queue => "publish_queue",
            Self::PublishLag => "publish_lag",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Measures the resources of this process.
#[derive(Debug)]
pub(crate) struct Gauge {
    config: PressureConfig,
    fill: Fill,
    lag: PublishLag,
    process: Process,
    descriptors_max: u64,
}

impl Gauge {
    pub(crate) fn new(config: PressureConfig, fill: Fill, lag: PublishLag) -> Result<Self, Report> {
        let process = Process::myself().context("failed to open /proc/self")?;
        let limit = process.limits().context("failed to read the process's limits")?.max_open_files;
        let limit = match limit.soft_limit {
            LimitValue::Value(limit) => limit,
            LimitValue::Unlimited => u64::MAX,
        };
        let descriptors_max = config.descriptors_max.unwrap_or(u64::MAX).min(limit);
        Ok(Self { config, fill, lag, process, descriptors_max })
    }

    /// Percent of the limit; 0 where it cannot be read.
    fn percent(&self, resource: Resource) -> u64 {
        let percent = |used: u64, max: u64| used.saturating_mul(100) / max.max(1);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match resource {
            Resource::Memory => {
                let used = self.process.status().ok().and_then(|status| status.vmrss);
                percent(used.unwrap_or_default().saturating_mul(1024), self.config.memory_bytes_max)
            }
            Resource::Descriptors => {
                let used = self.process.fd_count().unwrap_or_default();
                percent(u64::try_from(used).unwrap_or(u64::MAX), self.descriptors_max)
            }
            Resource::Queue => self.fill.percent(),
            Resource::PublishLag => {
                percent(millis(self.lag.get()), millis(self.config.publish_lag_max.get()))
            }
        }
    }

    /// Measures until told to stop, and tells `levels` and health.
    pub(crate) async fn watch(
        self,
        levels: watch::Sender<Pressure>,
        health: Health,
        stop: CancellationToken,
    ) -> Result<(), Report> {
        let check = health.check("pressure");
        let metrics = PressureMetrics::default();
        let resources = Resource::ALL
            .map(|resource| (resource, ResourceMetrics::new_with_labels(&[("resource", resource.as_str())])));
        let mut ticks = tokio::time::interval(INTERVAL);
        let mut level = Pressure::None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let mut worst = (0, Resource::Memory);
            for (resource, metrics) in &resources {
                let percent = self.percent(*resource);
                metrics.pressure_percent.set(u32::try_from(percent).unwrap_or(u32::MAX));
                if percent > worst.0 {
                    worst = (percent, *resource);
                }
            }
            let (percent, resource) = worst;
            let next = next_level(level, percent);
            if next != level {
                tracing::warn!(from = name(level), to = name(next), %resource, percent, "pressure level");
            }
            level = next;
            metrics.pressure_level.set(ordinal(level));
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            metrics.tasks.set(u32::try_from(tasks).unwrap_or(u32::MAX));
            levels.send_if_modified(|told| std::mem::replace(told, level) != level);
            tell(&check, level, percent, resource);
        }
    }
}

fn tell(check: &Check, level: Pressure, percent: u64, resource: Resource) {
    if level == Pressure::None {
        check.healthy();
    } else {
        check.degraded(format!("{}: {resource} is at {percent} % of its limit", name(level)));
    }
}

/// The level after `level` at so many percent: up at once, down with a margin.
fn next_level(level: Pressure, percent: u64) -> Pressure {
    let holds = |(at, threshold): &(Pressure, u64)| {
        let margin = if *at <= level { RELEASE_PERCENT } else { 0 };
        percent >= threshold - margin
    };
    THRESHOLDS.iter().rfind(|threshold| holds(threshold)).map_or(Pressure::None, |(level, _)| *level)
}

fn ordinal(level: Pressure) -> u32 {
    match level {
        Pressure::None => 0,
        Pressure::SlowBooks => 1,
        Pressure::PausePolls => 2,
        Pressure::HoldBooks => 3,
    }
}

fn name(level: Pressure) -> &'static str {
    match level {
        Pressure::None => "none",
        Pressure::SlowBooks => "books are published more rarely",
        Pressure::PausePolls => "polled ratios pause, books are published more rarely",
        Pressure::HoldBooks => "books are held back, polled ratios pause",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_entered_at_its_threshold_and_left_below_it() {
        let mut level = Pressure::None;
        let mut levels = Vec::new();
        for percent in [0, 69, 70, 61, 79, 80, 95, 85, 79, 71, 69, 60, 59, 300, 0] {
            level = next_level(level, percent);
            levels.push(ordinal(level));
        }
        assert_eq!(levels, [0, 0, 1, 1, 1, 2, 3, 3, 2, 2, 1, 1, 0, 3, 0]);
    }
}
