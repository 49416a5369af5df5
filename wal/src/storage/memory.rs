//! Files in memory, for tests and for models.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, Storage, already_exists, locked, not_found};

/// A folder in memory. A clone is the same folder.
///
/// It uses the primitives of std even under loom: none of its locks is held across a call of anything else,
/// so a model never switches threads inside.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    files: Arc<Mutex<BTreeMap<String, Arc<MemoryFile>>>>,
    locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct MemoryFile(Mutex<Vec<u8>>);

/// Unlocks its folder when dropped.
#[derive(Debug)]
pub(super) struct FolderLock(Arc<AtomicBool>);

impl FolderLock {
    pub(super) fn take(flag: &Arc<AtomicBool>) -> io::Result<Box<dyn Any + Send + Sync>> {
        match flag.swap(true, Ordering::AcqRel) {
            true => Err(locked()),
            false => Ok(Box::new(FolderLock(Arc::clone(flag)))),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl MemoryStorage {
    /// An empty folder.
    pub fn new() -> MemoryStorage {
        MemoryStorage::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.files().get(name) {
            Some(file) => Ok(Arc::clone(file) as Arc<dyn File>),
            None => Err(not_found(name)),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut files = self.files();
        if files.contains_key(name) {
            return Err(already_exists(name));
        }
        let file = Arc::new(MemoryFile::default());
        files.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or_else(|| not_found(from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| not_found(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        FolderLock::take(&self.locked)
    }

    fn path(&self, name: &str) -> String {
        format!("memory:{name}")
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(read_from(&self.bytes(), buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        write_into(&mut self.bytes(), buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes().resize(position(len)?, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// `offset` as an index, where memory has room for it at all.
pub(super) fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Copies what a file of these bytes has at `offset`, and says how much that is.
pub(super) fn read_from(bytes: &[u8], buf: &mut [u8], offset: u64) -> usize {
    let rest = position(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let count = rest.len().min(buf.len());
    buf[..count].copy_from_slice(&rest[..count]);
    count
}

/// Writes into a file of these bytes, and extends it with zeros as far as needed.
pub(super) fn write_into(bytes: &mut Vec<u8>, buf: &[u8], offset: u64) -> io::Result<()> {
    let at = position(offset)?;
    let end = at.checked_add(buf.len()).ok_or(io::ErrorKind::FileTooLarge)?;
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(buf);
    Ok(())
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_short_only_at_the_end() {
        let storage = MemoryStorage::new();
        let file = storage.create("a").unwrap();
        file.write_at(b"hello", 3).unwrap();
        let mut buf = [9; 8];
        assert_eq!(file.read_at(&mut buf, 0).unwrap(), 8);
        assert_eq!(&buf, b"\0\0\0hello");
        assert_eq!(file.read_at(&mut buf, 6).unwrap(), 2);
        assert_eq!(file.read_at(&mut buf, u64::MAX).unwrap(), 0);
    }

    #[test]
    fn the_lock_is_exclusive_until_dropped() {
        let storage = MemoryStorage::new();
        let held = storage.lock().unwrap();
        assert_eq!(storage.clone().lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        storage.lock().unwrap();
    }
}
