//! The web console beside the pipeline: the monitoring service. The pipeline does not need it, so nothing that happens to it ends
//! the demo or changes the result.

use std::time::Duration;

use crate::failure::Failure;
use crate::folder::Folder;
use crate::http::Http;
use crate::ports::Ports;
use crate::process::{Process, Program, Stopped};
use crate::settings;
use crate::stack::{GRACE, binary};

/// How long it may take to answer: it starts within a second, and some seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const NAME: &str = "monitoring";

/// The running console, or none any more.
#[derive(Debug)]
pub(crate) struct Console {
    process: Option<Process>,
    url: String,
}

impl Console {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When one of its ports is in use, or it does not come up; then nothing of it is left.
    pub(crate) async fn start(ports: &Ports, folder: &Folder, http: &Http) -> Result<Self, Failure> {
        ports.check_console()?;
        let config = folder.config(NAME, &settings::monitoring(ports, folder.password()))?;
        let arguments = vec!["--config".into(), config.into()];
        let program = Program { name: NAME, binary: binary(NAME)?, arguments, log: folder.log(NAME) };
        let mut process = Process::start(program)?;
        let url = settings::url(ports.console);
        // Its own health is about those whom it asks as well; that it serves is enough.
        process.wait_ready(PATIENCE, || http.answers(&url)).await?;
        Ok(Self { process: Some(process), url })
    }

    /// Where a browser finds it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Name and process id while it runs.
    pub(crate) fn pid(&self) -> Option<(&'static str, u32)> {
        Some((NAME, self.process.as_ref()?.pid()?))
    }

    /// Why it ended, once. It is not started again.
    pub(crate) fn ended(&mut self) -> Option<Failure> {
        let process = self.process.as_mut()?;
        let status = process.ended()?;
        let failure = process.failed_with(&status.to_string());
        self.process = None;
        Some(failure)
    }

    /// Stops it; `None` where it had ended before.
    pub(crate) async fn stop(self) -> Option<Stopped> {
        Some(self.process?.stop(GRACE).await)
    }
}
