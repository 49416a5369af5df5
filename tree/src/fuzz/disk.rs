//! A small disk: a page id that a mutator makes up may lie gigabytes away, and a file in memory has no holes.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wal::{File, MemoryStorage, Storage};

/// The most that a file may grow to, in bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Names and bytes.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A folder in memory on a disk that is full when a file passes [`FILE_BYTES`].
#[derive(Debug)]
pub(super) struct SmallDisk(MemoryStorage);

#[derive(Debug)]
struct SmallFile(Arc<dyn File>);

impl SmallDisk {
    pub(super) fn new(files: &Files) -> Arc<Self> {
        let folder = MemoryStorage::new();
        for (name, bytes) in files {
            let file = folder.create(name).expect("each name is there once");
            file.write_at(bytes, 0).expect("memory takes everything");
        }
        Arc::new(Self(folder))
    }

    /// A copy of every file.
    pub(super) fn files(&self) -> Files {
        let read = |name: &str| {
            let file = self.0.open(name)?;
            let mut bytes = vec![0; file.len()? as usize];
            file.read_at(&mut bytes, 0)?;
            Ok::<_, io::Error>(bytes)
        };
        let names = self.0.list().expect("memory can be read");
        names.into_iter().map(|name| (name.clone(), read(&name).expect("memory can be read"))).collect()
    }
}

fn expect_room(end: Option<u64>) -> io::Result<()> {
    match end {
        Some(end) if end <= FILE_BYTES => Ok(()),
        _ => Err(io::ErrorKind::StorageFull.into()),
    }
}

impl Storage for SmallDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(SmallFile(self.0.open(name)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(SmallFile(self.0.create(name)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.0.lock()
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name)
    }
}

impl File for SmallFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        expect_room(offset.checked_add(buf.len() as u64))?;
        self.0.write_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        expect_room(Some(len))?;
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}
