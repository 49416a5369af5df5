//! What can end a command, and the exit code that says which.

use std::fmt::Display;

/// Why a command stopped. Messages are one line and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, a preset or an input file is not what was expected.
    #[error("{0}")]
    Usage(String),
    /// Something went wrong while measuring, or a database failed its check.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C or SIGTERM; temporary folders are removed on the way out.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::Usage(message.into())
    }

    /// A failure of `what`, with its cause.
    pub fn failed(what: impl Display, cause: impl Display) -> Error {
        Error::Failed(format!("{what}: {cause}"))
    }

    /// The process's exit code: 2 for usage, 1 for failure, 130 as shells expect after Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Failed(_) => 1,
            Error::Interrupted => 130,
        }
    }

    /// The message on one line, whatever the cause printed.
    pub fn one_line(&self) -> String {
        let text = self.to_string();
        text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Shorthand for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;
