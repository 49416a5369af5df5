//! What a group agrees on: writes of single keys.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A write of one key. Every replica comes to the same outcome: it depends on the key's value alone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Command {
    /// The key.
    pub key: Bytes,
    /// The value to set; none removes the key.
    pub value: Option<Bytes>,
    /// What must hold of the key, or nothing is done.
    pub condition: Condition,
}

/// What must hold of a key for a write to be done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Condition {
    /// Nothing.
    Always,
    /// The key is not there.
    Absent,
    /// The key is there.
    Present,
    /// The key is there, with this value.
    Equals(Bytes),
}

impl Condition {
    /// Whether it holds for a key with that value.
    pub fn holds(&self, current: Option<&[u8]>) -> bool {
        match self {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Present => current.is_some(),
            Condition::Equals(value) => current == Some(value),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.value.is_some() { "put" } else { "delete" };
        write!(f, "{verb} {}", self.key.escape_ascii())
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// Whether it was done: its condition held, and a delete found its key.
    pub applied: bool,
}
