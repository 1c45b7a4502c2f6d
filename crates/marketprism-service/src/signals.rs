//! SIGTERM and SIGINT as one stream, SIGHUP as another.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::{Context, Report};

/// The signals that ask a process to end.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the process no longer dies of these signals by itself.
    pub(crate) fn listen() -> Result<Self, Report> {
        let terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// The next signal's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP: somebody asks the service to read its configuration again.
#[derive(Debug)]
pub struct Reloads(Signal);

impl Reloads {
    /// From here on the process no longer dies of SIGHUP.
    pub(crate) fn listen() -> Result<Self, Report> {
        Ok(Self(signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?))
    }

    /// Waits for the next one; several that come while nobody waits are one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
