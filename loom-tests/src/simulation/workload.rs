//! The operations: each is done on the database and on what is expected of it, and the answers are compared.

use tree::{Batch, Commit, Condition, TableOf};

use super::expected::{Model, Step};
use super::setup::{PAGE, TABLES, Tiny, key};
use super::verify::Fate;
use super::{Simulation, Violation};

type Table = TableOf<PAGE>;

/// The most operations between two restarts.
const MOST_OPERATIONS: u64 = 40;

/// The most writes of a batch: the least pool takes no more.
const MOST_WRITES: u64 = 8;

impl Simulation<'_> {
    /// Runs operations for a while, and a few more when something has gone wrong.
    pub(super) fn work(&mut self, database: &Tiny) -> Result<(), Violation> {
        let mut left = 1 + self.decisions.below(MOST_OPERATIONS);
        while left > 0 && !self.disk.is_off() && !self.in_doubt && !self.decisions.exhausted() {
            let before = self.has_happened();
            self.operate(database)?;
            left -= 1;
            if !before && self.has_happened() {
                left = left.min(self.decisions.below(10));
            }
        }
        Ok(())
    }

    fn operate(&mut self, database: &Tiny) -> Result<(), Violation> {
        self.figures.count("operations", 1);
        let name = TABLES[usize::from(self.decisions.one_in(4))];
        match self.decisions.below(64) {
            0..2 => return self.promise_all(database.checkpoint(), "checkpoints"),
            2 => return self.promise_all(database.flush(), "flushes"),
            3 => return self.drop_table(database, name),
            _ => {}
        }
        let table = match (self.expected.fate(name), database.table(name)) {
            (Fate::Present, Some(table)) => table,
            (Fate::Present, None) => return Err(Violation(format!("the table {name} is gone"))),
            (Fate::Absent, _) => return self.create_table(database, name),
            (Fate::Unknown, _) => return Ok(()),
        };
        match self.decisions.below(20) {
            0..9 => self.put(&table, name),
            9..13 => self.delete(&table, name),
            13..16 => self.batch(&table, name),
            16..18 => self.get(&table, name),
            18 => self.count(&table, name),
            _ => self.scan(&table, name),
        }
    }

    fn promise_all(&mut self, done: tree::Result<()>, what: &str) -> Result<(), Violation> {
        if self.tolerate(done)?.is_some() {
            self.expected.acknowledge_all();
            self.figures.count(what, 1);
        }
        Ok(())
    }

    fn create_table(&mut self, database: &Tiny, name: &'static str) -> Result<(), Violation> {
        self.expected.clear(name, &self.setup);
        if self.tolerate(database.create_table(name))?.is_some() {
            self.expected.set_fate(name, Fate::Present);
            self.figures.count("tables made", 1);
        }
        Ok(())
    }

    fn drop_table(&mut self, database: &Tiny, name: &'static str) -> Result<(), Violation> {
        if self.expected.fate(name) != Fate::Present {
            return Ok(());
        }
        let dropped = self.tolerate(database.drop_table(name))?.is_some();
        self.expected.set_fate(name, if dropped { Fate::Absent } else { Fate::Unknown });
        self.figures.count("tables dropped", u64::from(dropped));
        Ok(())
    }

    fn put(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let (key, value) = (self.key(), self.value());
        let partition = self.setup.partition(&key);
        let held = self.expected.current(name, partition).get(&key).cloned();
        let step = vec![(key.clone(), Some(value.clone()))];
        match self.decisions.below(8) {
            0 => {
                let written = table.put_if(&key, &value, Condition::Absent);
                self.written(written, name, step, held.is_none())
            }
            1 => {
                let right = self.decisions.one_in(2);
                let wanted = held.clone().filter(|_| right).unwrap_or_else(|| b"another".to_vec());
                let written = table.put_if(&key, &value, Condition::Equals(&wanted));
                self.written(written, name, step, held.is_some_and(|held| held == wanted))
            }
            _ => self.written(table.put(&key, &value), name, step, true),
        }
    }

    fn delete(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let key = self.key();
        let partition = self.setup.partition(&key);
        let held = self.expected.current(name, partition).get(&key).cloned();
        let step = vec![(key.clone(), None)];
        if let Some(held) = held.clone().filter(|_| self.decisions.one_in(6)) {
            return self.written(table.delete_if(&key, Condition::Equals(&held)), name, step, true);
        }
        self.written(table.delete(&key), name, step, held.is_some())
    }

    /// A write of one key has been called; it should have been `applied`.
    fn written(
        &mut self,
        answer: tree::Result<Commit<'_>>,
        name: &str,
        step: Step,
        applied: bool,
    ) -> Result<(), Violation> {
        let key = step[0].0.clone();
        let partition = self.setup.partition(&key);
        let Some(commit) = self.tolerate(answer)? else {
            // Who waits within the call does not know what became of the write; otherwise it is not applied.
            if self.setup.waits_within_calls() && applied {
                self.expected.push(name, partition, step);
                self.in_doubt = true;
            }
            return Ok(());
        };
        if commit.applied() != applied {
            let text = key.escape_ascii();
            return Err(Violation(format!(
                "a write of {text} says applied: {}, expected {applied}",
                !applied
            )));
        }
        if applied {
            self.expected.push(name, partition, step);
            self.figures.count("writes", 1);
        }
        let waits = !self.decisions.one_in(4);
        if waits && self.tolerate(commit.wait())?.is_some() {
            self.figures.count("acknowledged writes", u64::from(applied));
            self.expected.acknowledge_key(name, partition, &key);
        }
        Ok(())
    }

    fn batch(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let writes = 1 + self.decisions.below(MOST_WRITES);
        let (mut batch, mut steps) = (Batch::new(), vec![Step::new(); self.setup.partitions()]);
        let mut keys = Model::new();
        for _ in 0..writes {
            let key = self.key();
            if keys.insert(key.clone(), Vec::new()).is_some() {
                continue;
            }
            let value = (!self.decisions.one_in(3)).then(|| self.value());
            match &value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            };
            steps[self.setup.partition(&key)].push((key, value));
        }
        self.figures.count("batches", 1);
        let applied = self.tolerate(table.apply(&batch))?;
        // Partitions are written in their order. Where that was cut short, those behind have nothing.
        let mut numbers = Vec::new();
        for (partition, step) in steps.into_iter().enumerate().filter(|(_, step)| !step.is_empty()) {
            numbers.extend(self.expected.push_batch(name, partition, step).map(|number| (partition, number)));
        }
        let Some(commit) = applied else {
            self.in_doubt = true;
            return Ok(());
        };
        if !self.decisions.one_in(4) && self.tolerate(commit.wait())?.is_some() {
            self.figures.count("acknowledged batches", 1);
            numbers
                .into_iter()
                .for_each(|(partition, number)| self.expected.acknowledge(name, partition, number));
        }
        Ok(())
    }

    fn get(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let key = self.key();
        let partition = self.setup.partition(&key);
        let strong = !self.decisions.one_in(4);
        let found = if strong { table.get(&key) } else { table.get_eventual(&key) };
        let Some(found) = self.tolerate(found)? else { return Ok(()) };
        if found.as_ref() != self.expected.current(name, partition).get(&key) {
            return Err(Violation(format!("a get of {} finds {found:?}", key.escape_ascii())));
        }
        if strong {
            self.expected.acknowledge_key(name, partition, &key);
        }
        Ok(())
    }

    fn count(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let Some(found) = self.tolerate(table.count())? else { return Ok(()) };
        let wanted = self.expected.contents(name).len();
        if found != wanted as u64 {
            return Err(Violation(format!("the count of {name} is {found} instead of {wanted}")));
        }
        self.expected.acknowledge_table(name);
        Ok(())
    }

    fn scan(&mut self, table: &Table, name: &str) -> Result<(), Violation> {
        let (from, to) = (self.key(), self.key());
        let backward = self.decisions.one_in(2);
        let scan = if backward {
            table.scan_backward(from.clone()..to.clone())
        } else {
            table.scan(from.clone()..to.clone())
        };
        let Some(mut found) = self.tolerate(scan.collect::<tree::Result<Vec<_>>>())? else { return Ok(()) };
        if backward {
            found.reverse();
        }
        let mut wanted = self.expected.contents(name);
        wanted.retain(|key, _| *key >= from && *key < to);
        if !found.iter().map(|(key, value)| (key, value)).eq(&wanted) {
            return Err(Violation(format!(
                "a scan of {name} finds {} items of {}",
                found.len(),
                wanted.len()
            )));
        }
        for (key, _) in found {
            self.expected.acknowledge_key(name, self.setup.partition(&key), &key);
        }
        Ok(())
    }

    fn key(&mut self) -> Vec<u8> {
        key(self.decisions.below(self.setup.keys as u64) as usize)
    }

    /// A value like no other, now and then too long for a leaf.
    fn value(&mut self) -> Vec<u8> {
        self.values += 1;
        let len = if self.decisions.one_in(16) {
            100 + self.decisions.below(1200)
        } else {
            self.decisions.below(40)
        };
        (self.values as u32).to_be_bytes().into_iter().rev().cycle().take(len as usize).collect()
    }
}
