//! What can end a command, and the exit code that says which.

use std::fmt::Display;

/// The meaning of an exit code. The numbers are documented: they may be added to, never changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    /// Anything that is none of the others.
    Failed = 1,
    /// The command line, or the input that it names, is not as it should be.
    Usage = 2,
    /// There is no such table or item.
    NotFound = 3,
    /// It exists already, or an `--if-match` or `--if-none-match` does not hold.
    Conflict = 4,
    /// No node answers at the URL, or it stopped answering.
    Unreachable = 5,
    /// No token, a wrong one, or one whose role does not allow it.
    Denied = 6,
    /// The node has more to do than it can, or is not ready.
    Busy = 7,
    /// A check found damage.
    Damaged = 8,
}

impl Code {
    /// The code for the status of an answer that is no success.
    pub(crate) fn of_status(status: u16) -> Code {
        match status {
            400 | 411 | 413 | 414 | 415 | 422 | 431 => Code::Usage,
            401 | 403 => Code::Denied,
            404 => Code::NotFound,
            409 | 412 => Code::Conflict,
            429 | 503 => Code::Busy,
            _ => Code::Failed,
        }
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Error {
    /// It did not do what it was asked to; the message says what, where and what to do.
    Stopped {
        /// Which kind of failure.
        code: Code,
        /// For people.
        message: String,
    },
    /// Whoever read the output has gone, as `head` does: nothing is left to do, and nothing is wrong.
    ReaderGone,
}

impl Error {
    /// An error of a kind.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Error {
        Error::Stopped { code, message: message.into() }
    }

    /// The command line or an input is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::new(Code::Usage, message)
    }

    /// `what` did not work, and why.
    pub(crate) fn failed(what: impl Display, cause: impl Display) -> Error {
        Error::new(Code::Failed, format!("{what}: {cause}"))
    }

    /// The same error, with a sentence on what it means for the command as a whole.
    pub(crate) fn and(self, sentence: impl Display) -> Error {
        match self {
            Error::Stopped { code, message } => {
                Error::Stopped { code, message: format!("{message}; {sentence}") }
            }
            Error::ReaderGone => Error::ReaderGone,
        }
    }

    /// What to tell people, if anything.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Error::Stopped { message, .. } => Some(message),
            Error::ReaderGone => None,
        }
    }

    /// The kind of failure, where it is one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Error::Stopped { code, .. } => Some(*code),
            Error::ReaderGone => None,
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code().map_or(0, |code| code as u8)
    }
}

/// Shorthand for this program's results.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_the_documented_exit_codes() {
        let codes =
            [400, 401, 403, 404, 409, 412, 413, 429, 500, 503].map(|status| Code::of_status(status) as u8);
        assert_eq!(codes, [2, 6, 6, 3, 4, 4, 2, 7, 1, 7]);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        assert_eq!((Error::ReaderGone.exit_code(), Error::ReaderGone.message()), (0, None));
    }
}
