//! A backup into a folder.

use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path};

use wal::{DirStorage, Storage};

use super::BackupSink;
use crate::error::{Error, Result};

/// Bytes that are written at once.
const CHUNK: usize = 1 << 20;

/// Writes a backup to a new folder. Each file is durable when the next one begins, the catalog last: after a crash the
/// folder holds a whole backup or none that can be opened.
#[derive(Debug)]
pub struct FolderSink {
    storage: DirStorage,
}

impl FolderSink {
    /// A sink that writes to that folder; makes the folder, and what leads to it, where absent.
    ///
    /// # Errors
    /// The folder has something in it, or cannot be made or read.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let storage = DirStorage::open(path).map_err(Error::io("open the folder", &*name))?;
        let mut entries = std::fs::read_dir(path).map_err(Error::io("list", &*name))?;
        if entries.next().is_some() {
            let reason = "a backup needs a new or an empty folder, and this one has something in it".into();
            return Err(Error::Format { file: name, reason });
        }
        Ok(Self { storage })
    }
}

impl BackupSink for FolderSink {
    fn file(&mut self, name: &str, bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        // The names of a backup are plain ones. Those of an archive that someone else has made may lead anywhere.
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("{name:?} is not a plain file name"),
            ));
        }
        let file = self.storage.create(name)?;
        let mut chunk = vec![0; bytes.min(CHUNK as u64) as usize];
        let mut offset = 0;
        while offset < bytes {
            let most = (bytes - offset).min(chunk.len() as u64) as usize;
            content.read_exact(&mut chunk[..most])?;
            file.write_at(&chunk[..most], offset)?;
            offset += most as u64;
        }
        file.sync()?;
        self.storage.sync_dir()
    }
}
