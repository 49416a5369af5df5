//! What was acknowledged, and the read-back that proves nothing of it is missing.
//!
//! A key is changed by one writer only (see `phase.rs`), so its last acknowledged write is known without a
//! clock: four bytes a key hold its revision, from which the document follows (see `traffic.rs`).

use tree::Database;

use crate::error::{Error, Result};
use crate::traffic::Table;

const NEVER: u32 = 0;
const DELETED: u32 = u32::MAX;
const EXAMPLES: usize = 3;
const PROBES_PER_TABLE: u64 = 1_000;

/// An acknowledged write, as a writer remembers it until the end of its phase.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Acknowledged {
    table: u8,
    state: u32,
    index: u64,
}

impl Acknowledged {
    /// A put of the document at `revision`.
    pub(crate) fn put(table: Table, index: u64, revision: u32) -> Acknowledged {
        Acknowledged { table: table as u8, state: (revision + 1).min(DELETED - 1), index }
    }

    /// A delete.
    pub(crate) fn delete(table: Table, index: u64) -> Acknowledged {
        Acknowledged { table: table as u8, state: DELETED, index }
    }
}

/// The last acknowledged state of every key, a vector a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    states: [Vec<u32>; 3],
}

/// What a read-back found.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadBack {
    /// Keys whose acknowledged document is there.
    pub(crate) keys: u64,
    /// Acknowledged writes that are not there.
    pub(crate) missing: u64,
    /// Keys with another document than the one last acknowledged.
    pub(crate) wrong: u64,
    /// Keys that are there although their delete was acknowledged, or that were never written.
    pub(crate) unexpected: u64,
    /// The first few of these, in words.
    pub(crate) examples: Vec<String>,
}

impl ReadBack {
    /// One sentence where something is wrong.
    pub(crate) fn fault(&self) -> Option<String> {
        (self.missing + self.wrong + self.unexpected > 0).then(|| {
            format!(
                "read-back: {} acknowledged writes missing, {} with a wrong value, {} keys unexpected ({})",
                self.missing,
                self.wrong,
                self.unexpected,
                self.examples.join("; ")
            )
        })
    }

    /// Remembers one of the first few faults.
    pub(crate) fn example(&mut self, words: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(words());
        }
    }
}

impl Ledger {
    /// Enters one writer's acknowledged writes, in its order.
    pub(crate) fn enter(&mut self, writes: &[Acknowledged]) {
        for write in writes {
            let states = &mut self.states[usize::from(write.table)];
            let index = write.index as usize;
            if states.len() <= index {
                states.resize(index + 1, NEVER);
            }
            states[index] = write.state;
        }
    }

    /// How many keys of `table` were ever given out: the next insert's index.
    pub(crate) fn len(&self, table: Table) -> u64 {
        self.states[table as usize].len() as u64
    }

    /// Compares the whole database with what was acknowledged: every key by scans, a sample by gets.
    pub(crate) fn read_back(&self, database: &Database) -> Result<ReadBack> {
        let mut found = ReadBack::default();
        for table in Table::ALL {
            let states = &self.states[table as usize];
            let Some(stored) = database.table(table.name()) else {
                let missing = states.iter().filter(|state| present(**state)).count() as u64;
                found.missing += missing;
                found.example(|| format!("table {} is gone with {missing} keys", table.name()));
                continue;
            };
            scan_all(table, states, &stored, &mut found)?;
            probe_some(table, states, &stored, &mut found)?;
        }
        Ok(found)
    }
}

fn present(state: u32) -> bool {
    state != NEVER && state != DELETED
}

fn failed(table: Table, cause: tree::Error) -> Error {
    Error::failed(format!("read-back of table {}", table.name()), cause)
}

fn scan_all(table: Table, states: &[u32], stored: &tree::Table, found: &mut ReadBack) -> Result<()> {
    let mut seen = vec![false; states.len()];
    let mut document = Vec::new();
    for item in stored.scan(..) {
        let (key, value) = item.map_err(|cause| failed(table, cause))?;
        let name = || format!("{}/{}", table.name(), String::from_utf8_lossy(&key));
        let index = table.index_of(&key).map(|index| index as usize).filter(|index| *index < states.len());
        let Some(index) = index.filter(|index| present(states[*index]) && !seen[*index]) else {
            found.unexpected += 1;
            found.example(|| format!("{} is there but was deleted, repeated or never written", name()));
            continue;
        };
        seen[index] = true;
        table.write_document(index as u64, states[index] - 1, &mut document);
        if value == document {
            found.keys += 1;
        } else {
            found.wrong += 1;
            found.example(|| format!("{} is not the document that was acknowledged last", name()));
        }
    }
    for (index, _) in states.iter().enumerate().filter(|(index, state)| present(**state) && !seen[*index]) {
        found.missing += 1;
        let number = table.first_number() + index as u64;
        found.example(|| format!("{}, number {number}, was acknowledged and is missing", table.name()));
    }
    Ok(())
}

/// Gets go the way from the root that scans do not: a key in the wrong place is found only by them.
fn probe_some(table: Table, states: &[u32], stored: &tree::Table, found: &mut ReadBack) -> Result<()> {
    let (mut key, mut document) = (Vec::new(), Vec::new());
    let step = (states.len() as u64).div_ceil(PROBES_PER_TABLE).max(1);
    for index in (0..states.len() as u64).step_by(step as usize) {
        table.write_key(index, &mut key);
        let value = stored.get(&key).map_err(|cause| failed(table, cause))?;
        let state = states[index as usize];
        let expected = present(state).then(|| {
            table.write_document(index, state - 1, &mut document);
            &document
        });
        if value.as_ref() != expected {
            found.wrong += 1;
            found.example(|| {
                let key = String::from_utf8_lossy(&key);
                format!("a get of {}/{key} is not what was acknowledged last", table.name())
            });
        }
    }
    Ok(())
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn database() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), tree::Options::default()).unwrap();
        for table in Table::ALL {
            database.create_table(table.name()).unwrap();
        }
        (folder, database)
    }

    fn store(database: &Database, table: Table, index: u64, revision: u32) -> Acknowledged {
        let (mut key, mut document) = (Vec::new(), Vec::new());
        table.write_key(index, &mut key);
        table.write_document(index, revision, &mut document);
        database.table(table.name()).unwrap().put(&key, &document).unwrap().wait().unwrap();
        Acknowledged::put(table, index, revision)
    }

    #[test]
    fn what_was_acknowledged_is_read_back() {
        let (_folder, database) = database();
        let mut ledger = Ledger::default();
        for index in 0..20 {
            ledger.enter(&[store(&database, Table::Users, index, 0)]);
        }
        ledger.enter(&[store(&database, Table::Users, 3, 9)]);
        let found = ledger.read_back(&database).unwrap();
        assert_eq!((found.keys, found.fault()), (20, None));
        assert_eq!(ledger.len(Table::Users), 20);
    }

    #[test]
    fn lost_stale_and_resurrected_keys_are_told_apart() {
        let (_folder, database) = database();
        let mut ledger = Ledger::default();
        let written: Vec<_> = (0..4).map(|index| store(&database, Table::Orders, index, 0)).collect();
        ledger.enter(&written);
        ledger.enter(&[
            Acknowledged::put(Table::Orders, 0, 5),
            Acknowledged::delete(Table::Orders, 1),
            Acknowledged::put(Table::Orders, 7, 0),
        ]);
        let found = ledger.read_back(&database).unwrap();
        assert!(found.missing == 1 && found.unexpected == 1 && found.wrong >= 1, "{found:?}");
        assert!(found.fault().unwrap().contains("1 acknowledged writes missing"));
    }
}
