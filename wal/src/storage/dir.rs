//! Files of a folder on a disk.

use std::any::Any;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::{File, Storage, locked};

const LOCK_FILE: &str = "LOCK";

/// A folder on a disk.
#[derive(Debug)]
pub struct DirStorage {
    path: PathBuf,
    /// An open handle of the folder itself, for [`Storage::sync_dir`].
    folder: fs::File,
}

#[derive(Debug)]
struct DirFile(fs::File);

impl DirStorage {
    /// Opens a folder; makes it and what leads to it where absent, durably.
    ///
    /// # Errors
    /// Where the folder cannot be made, opened or synced.
    pub fn open(path: impl AsRef<Path>) -> io::Result<DirStorage> {
        let path = path.as_ref().to_owned();
        make_durably(&path)?;
        let folder = fs::File::open(&path)?;
        Ok(DirStorage { path, folder })
    }
}

/// A folder's entry is durable once its parent is synced, so each parent of a new folder is.
fn make_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_durably(parent)?;
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    fs::File::open(parent)?.sync_all()
}

impl Storage for DirStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(DirFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))?;
        Ok(Arc::new(DirFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.retain(|name| name != LOCK_FILE);
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        let path = self.path.join(LOCK_FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(locked()),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

impl File for DirFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn prefetch(&self, offset: u64, len: u64) {
        // A hint: where the kernel does not take it, the read is just slower.
        let _ = fadvise(&self.0, offset, NonZeroU64::new(len), Advice::WillNeed);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_behaves_as_the_trait_says() {
        let base = tempfile::tempdir().unwrap();
        let storage = DirStorage::open(base.path().join("a/b")).unwrap();
        assert_eq!(storage.open("x").unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = storage.create("x").unwrap();
        assert_eq!(storage.create("x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.write_at(b"hello", 4090).unwrap();
        file.sync().unwrap();
        file.prefetch(0, 4096);
        let mut buf = [1; 16];
        assert_eq!(file.read_at(&mut buf, 4088).unwrap(), 7);
        assert_eq!(&buf[..7], b"\0\0hello");
        storage.rename("x", "y").unwrap();
        let _lock = storage.lock().unwrap();
        assert_eq!(storage.list().unwrap(), ["y"]);
        storage.sync_dir().unwrap();
        storage.remove("y").unwrap();
        assert_eq!(storage.remove("y").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_second_opener_of_the_same_folder_is_locked_out() {
        let base = tempfile::tempdir().unwrap();
        let (one, two) = (DirStorage::open(base.path()).unwrap(), DirStorage::open(base.path()).unwrap());
        let held = one.lock().unwrap();
        assert_eq!(two.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        two.lock().unwrap();
    }
}
