//! Runs `hedgehogctl` and keeps what it said.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The data, of a run that must have succeeded.
    pub(crate) fn data(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// The data as JSON, of a run that must have succeeded.
    pub(crate) fn json(self) -> Value {
        let text = self.data();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The message of a run that must have failed with this code, and with no data.
    pub(crate) fn refusal(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        self.stderr
    }
}

/// The program, with nothing of this process's environment that changes what it does.
pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hedgehogctl"));
    for name in ["HEDGEHOG_TOKEN", "HEDGEHOG_CA", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.env("HEDGEHOG_URL", url).args(arguments).stdin(Stdio::null());
    command
}

/// Runs it.
pub(crate) fn ctl(url: &str, arguments: &[&str]) -> Said {
    said(command(url, arguments))
}

/// Runs a prepared command.
pub(crate) fn said(mut command: Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
