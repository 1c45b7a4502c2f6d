//! Why the demo could not do what was asked; the text is for the person at the terminal.

/// A failure to show.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another demo holds the folder.
    #[error(
        "a demo runs already (process {pid}, folder {folder}); stop it with Ctrl-C there, or use --folder"
    )]
    Running {
        /// Its process id.
        pid: String,
        /// The folder it holds.
        folder: String,
    },
    /// A port somebody else listens on.
    #[error("port {port} for {purpose} is taken{by}; stop that, or use --ports free")]
    PortTaken {
        /// The port.
        port: u16,
        /// What it is wanted for.
        purpose: &'static str,
        /// Who has it, as far as that can be seen.
        by: String,
    },
    /// A process that did not come up.
    #[error("{name} is not ready after {seconds} s: {reason}\n--- end of {log}\n{tail}")]
    NotReady {
        /// Its name.
        name: String,
        /// How long it was waited for.
        seconds: u64,
        /// What its probe said last.
        reason: String,
        /// The log file.
        log: String,
        /// Its end.
        tail: String,
    },
    /// A process that ended by itself, again and again.
    #[error("{name} ended ({status})\n--- end of {log}\n{tail}")]
    Ended {
        /// Its name.
        name: String,
        /// Its exit status.
        status: String,
        /// The log file.
        log: String,
        /// Its end.
        tail: String,
    },
    /// A program that is not there.
    #[error("{program} is not there: {hint}")]
    Missing {
        /// Where it was looked for.
        program: String,
        /// What to do.
        hint: &'static str,
    },
    /// Anything of the file system or of a process.
    #[error("failed to {operation}: {source}")]
    Io {
        /// What was tried.
        operation: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A request one of our own servers did not answer.
    #[error("failed to {operation}: {reason}")]
    Request {
        /// What was asked for.
        operation: String,
        /// Why there is no answer.
        reason: String,
    },
    /// Something that cannot be combined or read.
    #[error("{0}")]
    Usage(String),
}

/// Names the operation of an I/O error.
pub fn io(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::Io { operation: operation.into(), source }
}
