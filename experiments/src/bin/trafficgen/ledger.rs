//! A file of what was acknowledged, for `-verify`: nothing in it may be missing after a crash of the node.
//!
//! One line a write, in the order in which a key's writes ended; a key has one write at a time (see `keys.rs`):
//!
//! ```text
//! # trafficgen ledger, value_bytes 0
//! put users 1000 0          acknowledged: table, number in the key, revision of the document
//! delete users 1000         acknowledged
//! put? users 1001 3         no or no clear answer: it may have happened
//! ```
//!
//! Only acknowledged writes and those that may have happened are in it, so that a key's document must be the last
//! acknowledged one or one that may have come after it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use experiments::error::{Error, Result};
use experiments::mix::Operation;
use experiments::traffic::Table;

use crate::keys::{Effect, Job};

/// The ledger as it is written: by an appending, buffered writer.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: BufWriter<File>,
    /// The first failure to write; it ends the run when the ledger is flushed.
    failure: Option<std::io::Error>,
}

impl Ledger {
    /// Opens `path` to append to it; documents are padded to `value_bytes`.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(crate) fn open(path: &Path, value_bytes: usize) -> Result<Ledger> {
        let failed = |cause| Error::failed(format!("cannot write the ledger {}", path.display()), cause);
        let mut file =
            BufWriter::new(OpenOptions::new().append(true).create(true).open(path).map_err(failed)?);
        writeln!(file, "# trafficgen ledger, value_bytes {value_bytes}").map_err(failed)?;
        Ok(Ledger { path: path.to_path_buf(), file, failure: None })
    }

    /// Enters a write that has ended.
    pub(crate) fn enter(&mut self, job: &Job, effect: Effect) {
        let mark = match effect {
            Effect::Acknowledged => "",
            Effect::Unknown => "?",
            Effect::None => return,
        };
        let (table, number) = (job.table.name(), job.table.first_number() + job.index);
        let written = match job.operation {
            Operation::Read => Ok(()),
            Operation::Delete => writeln!(self.file, "delete{mark} {table} {number}"),
            _ => writeln!(self.file, "put{mark} {table} {number} {}", job.revision),
        };
        if let Err(cause) = written {
            self.failure.get_or_insert(cause);
        }
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    ///
    /// Where something could not be written since the ledger was opened.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self.failure.take().map_or_else(|| self.file.flush(), Err) {
            Ok(()) => Ok(()),
            Err(cause) => {
                Err(Error::failed(format!("cannot write the ledger {}", self.path.display()), cause))
            }
        }
    }
}

/// A document: its revision and the size that it was padded to; `None` for no document.
pub(crate) type State = Option<(u32, usize)>;

/// What a key may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The last acknowledged state.
    pub(crate) acknowledged: State,
    /// States that may have come after it.
    pub(crate) possible: Vec<State>,
}

impl Allowed {
    /// All states, the acknowledged one first.
    pub(crate) fn states(&self) -> impl Iterator<Item = State> {
        std::iter::once(self.acknowledged).chain(self.possible.iter().copied())
    }
}

/// A table and an index in it.
pub(crate) type Key = (u8, u64);

/// Reads a ledger: what each key may hold of which a write was acknowledged; about others nothing was promised. A last
/// line without its end is the trace of a generator that was killed, and is left out.
///
/// # Errors
///
/// Where the file cannot be read, or a line is not of the form above.
pub(crate) fn read(path: &Path) -> Result<HashMap<Key, Allowed>> {
    let failed = |cause| Error::failed(format!("cannot read the ledger {}", path.display()), cause);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut keys: HashMap<Key, Allowed> = HashMap::new();
    let (mut line, mut value_bytes) = (String::new(), 0);
    for number in 1.. {
        line.clear();
        reader.read_line(&mut line).map_err(failed)?;
        let Some(text) = line.strip_suffix('\n') else { break };
        if let Some(header) = text.strip_prefix("# trafficgen ledger, value_bytes ") {
            value_bytes = header.parse().map_err(|_| malformed(path, number, text))?;
            continue;
        }
        let (key, state, certain) = entry(text, value_bytes).ok_or_else(|| malformed(path, number, text))?;
        if certain {
            keys.insert(key, Allowed { acknowledged: state, possible: Vec::new() });
        } else if let Some(allowed) = keys.get_mut(&key) {
            allowed.possible.push(state);
        }
    }
    Ok(keys)
}

fn malformed(path: &Path, number: usize, text: &str) -> Error {
    let text: String = text.chars().take(80).collect();
    Error::usage(format!(
        "{}, line {number}: `{text}` is no ledger entry, expected as `put users 1000 0`: give a file that \
         -ledger wrote",
        path.display()
    ))
}

/// The key, its state after the write, and whether the write was acknowledged.
fn entry(text: &str, value_bytes: usize) -> Option<(Key, State, bool)> {
    let mut words = text.split(' ');
    let what = words.next()?;
    let name = words.next()?;
    let table = Table::ALL.into_iter().find(|table| table.name() == name)?;
    let index = words.next()?.parse::<u64>().ok()?.checked_sub(table.first_number())?;
    let state = match what.trim_end_matches('?') {
        "put" => Some((words.next()?.parse().ok()?, value_bytes)),
        "delete" => None,
        _ => return None,
    };
    words.next().is_none().then_some(((table as u8, index), state, !what.ends_with('?')))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn job(operation: Operation, index: u64, revision: u32) -> Job {
        Job { operation, table: Table::Users, index, revision }
    }

    #[test]
    fn a_key_may_hold_its_last_acknowledged_state_or_a_later_uncertain_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path, 0).unwrap();
        ledger.enter(&job(Operation::Insert, 0, 0), Effect::Acknowledged);
        ledger.enter(&job(Operation::Update, 0, 8), Effect::Unknown);
        ledger.enter(&job(Operation::Update, 0, 9), Effect::Acknowledged);
        ledger.enter(&job(Operation::Delete, 0, 0), Effect::Unknown);
        ledger.enter(&job(Operation::Insert, 1, 0), Effect::Unknown);
        ledger.enter(&job(Operation::Insert, 2, 0), Effect::None);
        ledger.flush().unwrap();
        let mut second = Ledger::open(&path, 500).unwrap();
        second.enter(&job(Operation::Delete, 3, 0), Effect::Acknowledged);
        second.enter(&job(Operation::Insert, 4, 0), Effect::Acknowledged);
        second.flush().unwrap();
        let keys = read(&path).unwrap();
        let states = |index| keys[&(0, index)].states().collect::<Vec<_>>();
        assert_eq!(states(0), [Some((9, 0)), None]);
        assert!(!keys.contains_key(&(0, 1)), "nothing was promised");
        assert_eq!(states(3), [None]);
        assert_eq!(states(4), [Some((0, 500))]);
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_any_other_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        std::fs::write(&path, "put users 1000 0\nput users 10").unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        for bad in [
            "put users 1000",
            "put nobody 1000 0",
            "get users 1000",
            "put users 5 0",
            "",
            "put users 1000 0 0",
        ] {
            std::fs::write(&path, format!("put users 1000 0\n{bad}\n")).unwrap();
            let refusal = read(&path).unwrap_err().to_string();
            assert!(refusal.contains("line 2") && refusal.contains("-ledger"), "{refusal}");
        }
    }
}
