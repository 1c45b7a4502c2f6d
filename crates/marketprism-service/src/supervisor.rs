//! Owns every task, hears of each one's end, and drains: sources are told, stages end as their inputs close.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::health::Check;
use crate::logging;
use crate::report::Report;
use crate::signals::Signals;

/// Which end of the data path a task is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The service's `start` itself.
    Start,
    /// Ends when told.
    Source,
    /// Ends because its input closed.
    Stage,
}

#[derive(Debug)]
struct Task {
    name: String,
    role: Role,
    abort: AbortHandle,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Start => f.write_str("start"),
            Role::Source => write!(f, "source {}", self.name),
            Role::Stage => write!(f, "stage {}", self.name),
        }
    }
}

#[derive(Default)]
struct Running {
    set: JoinSet<Result<(), Report>>,
    /// As many as there are tasks: each leaves as it ends.
    names: HashMap<Id, Task>,
}

/// The tasks of one service.
#[derive(Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    running: Arc<Mutex<Running>>,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, running: Arc::default() }
    }

    pub(crate) fn spawn(
        &self,
        name: String,
        role: Role,
        task: impl Future<Output = Result<(), Report>> + Send + 'static,
    ) {
        let span = tracing::info_span!(parent: None, "task", name);
        let mut running = self.running();
        let abort = running.set.spawn_on(task.instrument(span), &self.runtime);
        running.names.insert(abort.id(), Task { name, role, abort });
    }

    /// The next task that ended, or `None` when none is left.
    async fn ended(&self) -> Option<(Task, Result<(), Report>)> {
        let joined = poll_fn(|context| self.running().set.poll_join_next_with_id(context)).await?;
        let (id, result) = match joined {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(death(error))),
        };
        let task = self.running().names.remove(&id)?;
        Some((task, result))
    }

    /// Ends a `start` that is still at it: it may wait for a peer that never comes, and nothing is queued in it.
    fn interrupt_start(&self) {
        self.running()
            .names
            .values()
            .filter(|task| task.role == Role::Start)
            .for_each(|task| task.abort.abort());
    }

    fn alive(&self) -> String {
        let mut names: Vec<_> = self.running().names.values().map(ToString::to_string).collect();
        names.sort();
        names.join(", ")
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn death(error: JoinError) -> Report {
    match error.try_into_panic() {
        Ok(payload) => Report::message(format!("panicked: {}", logging::message(payload.as_ref()))),
        Err(_) => Report::message("interrupted before it was through"),
    }
}

/// How a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every task ended, none by itself.
    Drained,
    /// A task failed, or the grace period was not enough. Already logged.
    Failed,
    /// A second signal: at once.
    Killed,
}

/// Waits for the end of the service: a signal, a request or a task's death; then drains within `grace`.
pub(crate) async fn supervise(
    tasks: &Tasks,
    shutdown: &CancellationToken,
    mut signals: Signals,
    phase: &Check,
    grace: Duration,
) -> Outcome {
    let mut outcome = Outcome::Drained;
    let mut signalled = false;
    // Made once, when draining begins: a deadline re-armed by every event would never come.
    let mut deadline: Option<Instant> = None;
    loop {
        let expired = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = tasks.ended() => match ended {
                None => return outcome,
                Some((task, result)) => {
                    if judge(&task, result, shutdown.is_cancelled(), phase) == Outcome::Failed {
                        outcome = Outcome::Failed;
                        shutdown.cancel();
                    }
                }
            },
            name = signals.next() => {
                if signalled {
                    tracing::error!(signal = name, alive = tasks.alive(), "second signal: exiting at once");
                    return Outcome::Killed;
                }
                signalled = true;
                tracing::info!(signal = name, "draining");
                shutdown.cancel();
            }
            () = shutdown.cancelled(), if deadline.is_none() => {
                phase.degraded("draining");
                tasks.interrupt_start();
                deadline = Some(Instant::now() + grace);
            }
            () = expired => {
                let grace = humantime::format_duration(grace);
                tracing::error!(alive = tasks.alive(), "not drained within the grace period of {grace}: aborting");
                return Outcome::Failed;
            }
        }
    }
}

/// Logs a task's end, and says whether it is a failure.
fn judge(task: &Task, result: Result<(), Report>, draining: bool, phase: &Check) -> Outcome {
    match result {
        Err(error) => tracing::error!(%error, "{task} failed"),
        Ok(()) if draining => {
            tracing::debug!("{task} drained");
            return Outcome::Drained;
        }
        Ok(()) if task.role == Role::Start => {
            phase.healthy();
            return Outcome::Drained;
        }
        Ok(()) => tracing::error!("{task} ended although nobody asked it to"),
    }
    Outcome::Failed
}
