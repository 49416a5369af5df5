//! The comparison of a database with what the operations allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use tree::{LogScope, Result as Answer};
use wal::Storage;

use super::expected::{History, Model, Step, settle};
use super::setup::{PAGE, Setup, TABLES, Tiny};
use super::{Simulation, Violation};

/// Pages that files may have beyond twice those that were ever found in use: what came and went between two
/// looks, such as long values.
const SLACK_PAGES: u64 = 160;

/// Whether a table is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Present,
    Absent,
    /// Making or dropping it has failed: the next recovery decides.
    Unknown,
}

/// What must be there, and what may.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    tables: BTreeMap<&'static str, (Fate, Vec<History>)>,
    one_log: bool,
    /// The number of the next step.
    next: u64,
    /// The most pages that were ever found in use.
    most_pages: u64,
}

impl Expected {
    pub(super) fn new(setup: &Setup) -> Expected {
        let tables = TABLES.into_iter().map(|name| (name, (Fate::Absent, Vec::new())));
        let one_log = setup.options.log_scope == LogScope::Database;
        Expected { tables: tables.collect(), one_log, next: 0, most_pages: 0 }
    }

    pub(super) fn fate(&self, table: &str) -> Fate {
        self.tables.get(table).map_or(Fate::Absent, |(fate, _)| *fate)
    }

    /// The table has been made or dropped, or nobody knows.
    pub(super) fn set_fate(&mut self, table: &'static str, fate: Fate) {
        self.tables.entry(table).or_insert((fate, Vec::new())).0 = fate;
    }

    /// The table is about to be made, empty.
    pub(super) fn clear(&mut self, table: &'static str, setup: &Setup) {
        self.tables.insert(table, (Fate::Unknown, vec![History::default(); setup.partitions()]));
    }

    fn partition(&mut self, table: &str, partition: usize) -> Option<&mut History> {
        self.tables.get_mut(table)?.1.get_mut(partition)
    }

    /// What a partition holds now.
    pub(super) fn current(&self, table: &str, partition: usize) -> &Model {
        &self.tables[table].1[partition].current
    }

    /// What a table holds now.
    pub(super) fn contents(&self, table: &str) -> Model {
        let (_, partitions) = &self.tables[table];
        partitions.iter().flat_map(|history| history.current.clone()).collect()
    }

    /// A step has been applied; answers its number.
    pub(super) fn push(&mut self, table: &str, partition: usize, step: Step) -> u64 {
        let number = self.next;
        self.next += 1;
        if let Some(history) = self.partition(table, partition) {
            history.push(number, step);
        }
        number
    }

    /// As [`Expected::push`], for a step that may remove what is not there. Answers what the batch's acknowledgement
    /// covers: the step, or, where it changes nothing, what has made the absence of its keys.
    pub(super) fn push_batch(&mut self, table: &str, partition: usize, step: Step) -> Option<u64> {
        let history = &self.tables[table].1[partition];
        let absence = step.iter().filter_map(|(key, _)| history.last_touch(key)).max();
        let changes =
            |(key, value): &(Vec<u8>, Option<Vec<u8>>)| value.is_some() || history.current.contains_key(key);
        let step: Step = step.into_iter().filter(changes).collect();
        if step.is_empty() { absence } else { Some(self.push(table, partition, step)) }
    }

    /// The step is durable, and with it all before it in the same log.
    pub(super) fn acknowledge(&mut self, table: &str, partition: usize, number: u64) {
        if self.one_log {
            let all = self.tables.values_mut().flat_map(|(_, partitions)| partitions);
            all.for_each(|history| history.acknowledge(number));
        } else if let Some(history) = self.partition(table, partition) {
            history.acknowledge(number);
        }
    }

    /// A read has shown what the key holds.
    pub(super) fn acknowledge_key(&mut self, table: &str, partition: usize, key: &[u8]) {
        if let Some(number) = self.partition(table, partition).and_then(|history| history.last_touch(key)) {
            self.acknowledge(table, partition, number);
        }
    }

    /// All that was written to the table is durable.
    pub(super) fn acknowledge_table(&mut self, table: &str) {
        for partition in 0..self.tables[table].1.len() {
            if let Some(number) = self.tables[table].1[partition].last() {
                self.acknowledge(table, partition, number);
            }
        }
    }

    /// All that was written is durable.
    pub(super) fn acknowledge_all(&mut self) {
        TABLES.into_iter().for_each(|table| self.acknowledge_table(table));
    }

    /// Compares a database that has just been opened with what may be there, and takes it for granted from now on.
    /// The inner answer is the database's error where it cannot be read.
    pub(super) fn settle(&mut self, database: &Tiny, setup: &Setup) -> Result<Answer<()>, Violation> {
        let mut found = Vec::new();
        for (&name, (fate, histories)) in &mut self.tables {
            let table = database.table(name);
            match (*fate, &table) {
                (Fate::Present, None) => return Err(Violation(format!("the table {name} is gone"))),
                (Fate::Absent, Some(_)) => return Err(Violation(format!("the table {name} is back"))),
                _ => {}
            }
            let Some(table) = table else {
                found.push((name, None));
                histories.clear();
                continue;
            };
            match read(&table, name)? {
                Ok(contents) => found.push((name, Some(contents))),
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut groups: Vec<Vec<(&mut History, Model)>> = Vec::new();
        for ((name, contents), (fate, histories)) in found.into_iter().zip(self.tables.values_mut()) {
            *fate = if contents.is_some() { Fate::Present } else { Fate::Absent };
            let mut parts = vec![Model::new(); setup.partitions()];
            for (key, value) in contents.into_iter().flatten() {
                parts[setup.partition(&key)].insert(key, value);
            }
            debug_assert!(TABLES.contains(&name));
            groups.extend(histories.iter_mut().zip(parts).map(|partition| vec![partition]));
        }
        if self.one_log {
            groups = vec![groups.into_iter().flatten().collect()];
        }
        groups.into_iter().try_for_each(settle).map_err(Violation)?;
        Ok(Ok(()))
    }
}

/// All that a table holds, read in every way.
fn read(table: &tree::TableOf<PAGE>, name: &str) -> Result<Answer<Model>, Violation> {
    let read = || {
        let forward = table.scan(..).collect::<Answer<Vec<_>>>()?;
        let backward = table.scan_backward(..).collect::<Answer<Vec<_>>>()?;
        Ok((forward, backward, table.count()?))
    };
    let (forward, mut backward, count) = match read() {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    backward.reverse();
    if forward != backward || !forward.is_sorted() {
        return Err(Violation(format!("scans of {name} in the two directions differ")));
    }
    if count != forward.len() as u64 {
        return Err(Violation(format!("{name} counts {count} keys, but a scan finds {}", forward.len())));
    }
    Ok(Ok(forward.into_iter().collect()))
}

impl Simulation<'_> {
    /// Recovers the database with nothing going wrong, and verifies all of it: on the disk, or on a copy, so that
    /// the recovery proper is yet to come and something may go wrong in it.
    pub(super) fn verify(&mut self) -> Result<(), Violation> {
        let on_copy = self.decisions.one_in(2);
        let disk = if on_copy { self.disk.crash() } else { self.disk.clone() };
        let fails = |what: &str, error: tree::Error| Violation(format!("{what}: {error}"));
        let database = Tiny::open_on(Arc::new(disk.clone()), self.setup.options.clone());
        let database = database.map_err(|error| fails("it does not open", error))?;
        let mut expected = self.expected.clone();
        let settled = expected.settle(&database, &self.setup)?;
        settled.map_err(|error| fails("it cannot be read", error))?;
        let report = database.check().map_err(|error| fails("it cannot be verified", error))?;
        if !report.is_clean() {
            return Err(Violation(format!("the verifier finds: {report}")));
        }
        drop(database);
        self.expected.most_pages = self.expected.most_pages.max(report.pages());
        expected.most_pages = self.expected.most_pages;
        self.expect_bounded(&disk)?;
        self.figures.count("verified recoveries", 1);
        if !on_copy {
            self.expected = expected;
        }
        Ok(())
    }

    /// The files are as small as what is in them, whatever has happened before.
    fn expect_bounded(&self, disk: &dyn Storage) -> Result<(), Violation> {
        let failed = |error: std::io::Error| Violation(format!("a file cannot be measured: {error}"));
        let (mut data, mut logs) = (0, 0);
        for name in disk.list().map_err(failed)? {
            let len = disk.open(&name).and_then(|file| file.len()).map_err(failed)?;
            if name.ends_with(".db") {
                data += len;
            } else if name != "doublewrite" {
                logs += len;
            }
        }
        let most_pages = 2 * self.expected.most_pages + SLACK_PAGES;
        if data > most_pages * PAGE as u64 {
            let pages = data / PAGE as u64;
            return Err(Violation(format!("data files have {pages} pages, more than {most_pages}")));
        }
        // Of each log its limit, the segment that passes it, two spare ones and one being made; and the catalog.
        let options = &self.setup.options;
        let a_log = options.log_max_bytes + 4 * options.log_segment_bytes;
        let most = self.setup.logs(TABLES.len()) * a_log + (64 << 10);
        if logs > most {
            return Err(Violation(format!("log files have {logs} bytes, more than {most}")));
        }
        Ok(())
    }
}
