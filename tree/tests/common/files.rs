//! A folder as plain data: taken from a storage, changed at will, and made a storage again.

use std::collections::BTreeMap;
use std::sync::Arc;

use wal::{MemoryStorage, Storage};

/// Names and bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A copy of every file.
pub fn take(storage: &dyn Storage) -> Files {
    let names = storage.list().unwrap();
    names.into_iter().map(|name| (name.clone(), read(storage, &name))).collect()
}

/// A storage of its own with these files.
pub fn folder(files: &Files) -> Arc<MemoryStorage> {
    let storage = MemoryStorage::new();
    for (name, bytes) in files {
        storage.create(name).unwrap().write_at(bytes, 0).unwrap();
    }
    Arc::new(storage)
}

/// The sum of all sizes, in bytes.
pub fn total_bytes(storage: &dyn Storage) -> u64 {
    let names = storage.list().unwrap();
    names.iter().map(|name| storage.open(name).unwrap().len().unwrap()).sum()
}

/// The names of a log's segments, oldest first.
pub fn segments(files: &Files, log: &str) -> Vec<String> {
    let of_log = |name: &&String| name.starts_with(&format!("{log}-")) && name.ends_with(".log");
    files.keys().filter(of_log).cloned().collect()
}

fn read(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}
