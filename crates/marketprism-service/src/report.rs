//! The error of a whole service: any error, with the operations that met it, printed once at the edge.

use std::error::Error;
use std::fmt;

/// A boxed error with a chain of contexts.
///
/// `Display` prints the whole chain on one line, outermost first; `?` turns every error into it. It is not itself a
/// `std::error::Error`: it is where errors end, not a cause of others.
pub struct Report {
    /// Innermost first.
    contexts: Vec<String>,
    cause: Box<dyn Error + Send + Sync>,
}

impl Report {
    /// A report without a cause.
    pub fn message(text: impl Into<String>) -> Self {
        Self { contexts: Vec::new(), cause: text.into().into() }
    }

    /// The same report, met while doing `operation` (`"failed to bind"`).
    #[must_use]
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.contexts.push(operation.to_string());
        self
    }

    /// The error this report began with, for those who must tell one failure from another.
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.cause.as_ref()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Report {
    fn from(cause: E) -> Self {
        Self { contexts: Vec::new(), cause: Box::new(cause) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.contexts.iter().rev() {
            write!(f, "{context}: ")?;
        }
        let mut shown = self.cause.to_string();
        f.write_str(&shown)?;
        let mut next = self.cause.source();
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries already print their cause; saying it twice would hide the rest.
            if !shown.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            shown = text;
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Adds the operation to the error of a `Result`.
pub trait Context<T> {
    /// `read(path).context("failed to read the ledger")?`
    ///
    /// # Errors
    /// The error it was called on, with `operation` in front.
    fn context(self, operation: impl fmt::Display) -> Result<T, Report>;
}

impl<T, E: Into<Report>> Context<T> for Result<T, E> {
    fn context(self, operation: impl fmt::Display) -> Result<T, Report> {
        self.map_err(|error| error.into().context(operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to bind {address}")]
    struct Bind {
        address: &'static str,
        #[source]
        source: std::io::Error,
    }

    #[test]
    fn the_whole_chain_is_printed_once() {
        let error = Bind { address: "127.0.0.1:1", source: std::io::Error::other("in use") };
        let report = Report::from(error).context("failed to start").context("collector");
        assert_eq!(report.to_string(), "collector: failed to start: failed to bind 127.0.0.1:1: in use");
    }

    #[test]
    fn a_cause_that_was_already_printed_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(Report::from(Outer(std::io::Error::other("inner"))).to_string(), "outer: inner");
    }
}
