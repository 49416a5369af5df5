//! The catalog: which tables there are, and from where each log must be replayed.
//!
//! One small file, replaced as a whole: written under another name, synced, renamed. Its first line names
//! the format and bears a checksum of the rest, which is JSON, so that a person can read it too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wal::{Lsn, Storage, planted};

use crate::error::{Error, Result};
use crate::options::LogScope;
use crate::remove::remove_if_there;

/// The name of the catalog's file.
pub(crate) const FILE: &str = "catalog";
const NEXT: &str = "catalog.new";
const MAGIC: &str = "hedgehogdb-catalog";
/// The version of the database's format.
const FORMAT: u32 = 1;

/// What the catalog says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Catalog {
    pub(crate) page_bytes: usize,
    /// Whether partitions have logs of their own.
    pub(crate) log_a_partition: bool,
    pub(crate) log_segment_bytes: u64,
    /// The number that the next partition gets. Numbers are never used again: log records bear them.
    pub(crate) next_partition: u32,
    /// Where replay begins, for each log.
    pub(crate) redo: BTreeMap<String, u64>,
    pub(crate) tables: BTreeMap<String, TableEntry>,
    /// Files of dropped tables that may still be there.
    pub(crate) dropping: Vec<DroppedFile>,
}

/// A table.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TableEntry {
    /// Milliseconds since 1970.
    pub(crate) created_at_ms: u64,
    pub(crate) partitions: Vec<PartitionEntry>,
}

/// A partition: its number, its file without the suffix, its items as of an LSN, and the pages that its file
/// has at least: one with fewer was cut short.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct PartitionEntry {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) items: u64,
    pub(crate) items_lsn: u64,
    pub(crate) pages: u64,
}

/// What is to be removed of a dropped partition.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DroppedFile {
    pub(crate) name: String,
    pub(crate) with_log: bool,
}

impl PartitionEntry {
    pub(crate) fn file(&self) -> String {
        page_file(&self.name)
    }
}

/// Whether a table is kept under this until it takes its name: no name of a table has a dot.
pub(crate) fn is_staged(key: &str) -> bool {
    key.contains('.')
}

/// The name of a partition's file of pages.
pub(crate) fn page_file(name: &str) -> String {
    format!("{name}.db")
}

impl Catalog {
    pub(crate) fn new(page_bytes: usize, scope: LogScope, log_segment_bytes: u64) -> Self {
        Self {
            page_bytes,
            log_a_partition: scope == LogScope::Partition,
            log_segment_bytes,
            next_partition: 1,
            redo: BTreeMap::new(),
            tables: BTreeMap::new(),
            dropping: Vec::new(),
        }
    }

    /// The name of the log of a partition.
    pub(crate) fn log_name(&self, partition: &PartitionEntry) -> String {
        if self.log_a_partition { partition.name.clone() } else { DATABASE_LOG.into() }
    }

    /// What a new table is kept under until it takes its name; no other ever has the same.
    pub(crate) fn staged_key(&self, name: &str) -> String {
        format!("{name}.{}", self.next_partition)
    }

    /// The log position that a log's replay begins at.
    pub(crate) fn redo_lsn(&self, log: &str) -> Lsn {
        Lsn::new(self.redo.get(log).copied().unwrap_or(0))
    }

    /// Whether the log still has all records that the partition's file may lack. A checkpoint that the partition
    /// has no part in may leave it behind.
    pub(crate) fn has_records_for(&self, partition: &PartitionEntry) -> bool {
        self.redo_lsn(&self.log_name(partition)) <= Lsn::new(partition.items_lsn)
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &PartitionEntry> {
        self.tables.values().flat_map(|table| &table.partitions)
    }

    /// Reads the catalog; `None` where there is none.
    pub(crate) fn load(storage: &dyn Storage) -> Result<Option<Self>> {
        let path = storage.path(FILE);
        let file = match storage.open(FILE) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open", &*path))?,
        };
        let len = file.len().map_err(Error::io("measure", &*path))?;
        let format = |reason: &str| Error::Format { file: path.clone(), reason: reason.into() };
        if len > MAX_BYTES {
            return Err(format("it is larger than any catalog: it is another program's file"));
        }
        let mut bytes = vec![0; len as usize];
        let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", &*path))?;
        bytes.truncate(read);
        let catalog = Self::parse(&bytes).map_err(|reason| format(&reason))?;
        Ok(Some(catalog))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let damaged = || "it is damaged; restore it from a backup".to_string();
        let line = bytes.iter().position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        let (header, body) = (&bytes[..line], &bytes[line + 1..]);
        let header = std::str::from_utf8(header).map_err(|_| damaged())?;
        let mut words = header.split(' ');
        if words.next() != Some(MAGIC) {
            return Err("it is not a catalog: it is another program's file, or damaged".into());
        }
        let version = words.next().and_then(|word| word.parse::<u32>().ok()).ok_or_else(damaged)?;
        if version != FORMAT {
            return Err(format!(
                "its format version is {version}, this program knows {FORMAT}; use the program that wrote it"
            ));
        }
        let checksum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
        if checksum != Some(crc32fast::hash(body)) || words.next().is_some() {
            return Err(damaged());
        }
        let catalog: Self =
            serde_json::from_slice(body).map_err(|error| format!("{error}; {}", damaged()))?;
        if catalog.is_in_range() { Ok(catalog) } else { Err(damaged()) }
    }

    /// Whether numbers and names are such as this program writes: what is computed from them rests on that, and the
    /// catalog of a backup that someone else has made must not name files outside its folder.
    fn is_in_range(&self) -> bool {
        let is_plain = |name: &String| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let dropping = self.dropping.iter().map(|file| &file.name);
        let files = self.partitions().map(|entry| &entry.name).chain(dropping).chain(self.redo.keys());
        files.chain(self.tables.keys()).all(is_plain)
            && self.log_segment_bytes <= 1 << 30
            && self.next_partition < 1 << 31
            && self.partitions().all(|entry| entry.id < self.next_partition)
            && self.tables.values().all(|table| !table.partitions.is_empty())
    }

    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let body = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Format { file: FILE.into(), reason: error.to_string() })?;
        let mut bytes = format!("{MAGIC} {FORMAT} {:08x}\n", crc32fast::hash(&body)).into_bytes();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Replaces the catalog, durably.
    pub(crate) fn save(&self, storage: &dyn Storage) -> Result<()> {
        let path = storage.path(NEXT);
        let bytes = self.encode()?;
        remove_if_there(storage, NEXT)?;
        let file = storage.create(NEXT).map_err(Error::io("create", &*path))?;
        file.write_at(&bytes, 0).map_err(Error::io("write", &*path))?;
        if !planted!("catalog-unsynced") {
            file.sync().map_err(Error::io("sync", &*path))?;
        }
        storage.rename(NEXT, FILE).map_err(Error::io("rename", &*path))?;
        storage.sync_dir().map_err(Error::io("sync the folder of", path))
    }
}

/// The name of the log of a database that has one.
pub(crate) const DATABASE_LOG: &str = "wal";

const MAX_BYTES: u64 = 256 << 20;
