//! Why the demo could not do what was asked; the text is for the person at the terminal.

/// A failure to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Another demo holds the folder.
    #[error(
        "a demo runs already (process {pid}, folder {folder}); stop it with Ctrl-C there, or use --folder"
    )]
    Running { pid: String, folder: String },
    /// A port somebody else listens on.
    #[error("port {port} for {purpose} is taken{by}; stop that, or use --ports free")]
    PortTaken { port: u16, purpose: &'static str, by: String },
    /// A process that did not come up.
    #[error("{name} is not ready after {seconds} s: {reason}\n--- end of {log}\n{tail}")]
    NotReady { name: String, seconds: u64, reason: String, log: String, tail: String },
    /// A process that ended by itself, again and again.
    #[error("{name} ended ({status})\n--- end of {log}\n{tail}")]
    Ended { name: String, status: String, log: String, tail: String },
    /// A program that is not there.
    #[error("{program} is not there: {hint}")]
    Missing { program: String, hint: &'static str },
    /// Anything of the file system or of a process.
    #[error("failed to {operation}: {source}")]
    Io { operation: String, source: std::io::Error },
    /// A request one of our own servers did not answer.
    #[error("failed to {operation}: {reason}")]
    Request { operation: String, reason: String },
    /// Something that cannot be combined or read.
    #[error("{0}")]
    Usage(String),
}

/// Names the operation of an I/O error.
pub(crate) fn io(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
    move |source| Failure::Io { operation: operation.into(), source }
}
