//! The verifier of a whole database.

use std::fmt;
use std::path::Path;

use wal::{DirStorage, Storage};

use crate::btree;
use crate::database::DatabaseOf;
use crate::error::{Error, Result};
use crate::options::{Maintenance, Options};
use crate::overlay::OverlayStorage;
use crate::sync::{Arc, in_parallel};
use crate::table::TableState;

/// What the verifier found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// A line a partition.
    pub partitions: Vec<PartitionReport>,
    /// Everything that is wrong. Empty for a sound database.
    pub problems: Vec<Problem>,
}

/// What the verifier saw of one partition.
#[derive(Clone, Debug)]
pub struct PartitionReport {
    /// Its table.
    pub table: String,
    /// Its number in the table.
    pub index: usize,
    /// Pages in use: nodes and overflow pages.
    pub pages: u64,
    /// Keys.
    pub keys: u64,
    /// Levels of the tree, leaves included.
    pub levels: u8,
    /// How full the nodes are, 0 to 1.
    pub fill: f64,
}

/// Something that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The table.
    pub table: String,
    /// The partition's number in the table.
    pub index: usize,
    /// What is wrong.
    pub text: String,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Keys of all partitions.
    pub fn keys(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.keys).sum()
    }

    /// Pages in use of all partitions.
    pub fn pages(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.pages).sum()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Problem { table, index, text } in &self.problems {
            writeln!(f, "{table}, partition {index}: {text}")?;
        }
        let verdict = match self.problems.len() {
            0 => "clean".to_string(),
            1 => "1 problem".to_string(),
            count => format!("{count} problems"),
        };
        let (partitions, pages, keys) = (self.partitions.len(), self.pages(), self.keys());
        write!(f, "{verdict}: {partitions} partitions, {pages} pages in use, {keys} keys")
    }
}

/// Verifies the closed database in a folder, page by page, without changing anything. After a crash, what is
/// verified is what recovery makes of the files; it happens in memory.
///
/// # Errors
/// There is no database, someone has it open, or it cannot be recovered. What is wrong with its trees is in
/// the report.
pub fn check(path: impl AsRef<Path>) -> Result<CheckReport> {
    let path = path.as_ref();
    let name = path.display().to_string();
    if !path.is_dir() {
        return Err(Error::Format { file: name, reason: "there is no such folder".into() });
    }
    let storage = DirStorage::open(path).map_err(Error::io("open the folder", name))?;
    check_storage::<4096>(Arc::new(storage))
}

/// As [`check()`], over any storage and page size.
///
/// # Errors
/// As for [`check()`].
pub fn check_storage<const PAGE: usize>(storage: Arc<dyn Storage>) -> Result<CheckReport> {
    if let Err(error) = storage.open("catalog") {
        let reason = format!("there is no database in this folder: {error}");
        return Err(Error::Format { file: storage.path("catalog"), reason });
    }
    let options = Options { maintenance: Maintenance::Inline, ..Options::default() };
    let database = DatabaseOf::<PAGE>::open_on(Arc::new(OverlayStorage::new(storage)), options)?;
    database.check()
}

pub(crate) fn check_tables<const PAGE: usize>(tables: &[Arc<TableState<PAGE>>]) -> CheckReport {
    let partitions = tables.iter().flat_map(|table| {
        table
            .partitions
            .iter()
            .enumerate()
            .map(|(index, partition)| (table.info.name.clone(), index, partition))
    });
    let checked = in_parallel(partitions, |(table, index, partition)| {
        (table, index, partition.as_ref().map(|open| btree::check::check(&open.pages)))
    });
    let mut report = CheckReport::default();
    for (table, index, checked) in checked {
        let checked = checked.unwrap_or_else(|error| btree::check::TreeCheck {
            problems: vec![error.to_string()],
            ..Default::default()
        });
        let fill = checked.used_bytes as f64 / checked.capacity_bytes.max(1) as f64;
        let problem = |text| Problem { table: table.clone(), index, text };
        report.problems.extend(checked.problems.into_iter().map(problem));
        let (pages, keys, levels) = (checked.pages, checked.keys, checked.levels);
        report.partitions.push(PartitionReport { table, index, pages, keys, levels, fill });
    }
    report
}
