//! A storage whose syncs take longer.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{File, Storage};

/// Another storage with every [`File::sync`] delayed: the model of a hard disk's or a cloud disk's latency.
#[derive(Clone, Debug)]
pub struct DelayedStorage {
    inner: Arc<dyn Storage>,
    sync_delay: Duration,
}

#[derive(Debug)]
struct DelayedFile {
    inner: Arc<dyn File>,
    sync_delay: Duration,
}

impl DelayedStorage {
    /// `inner`, with `sync_delay` added to each sync of a file.
    pub fn new(inner: Arc<dyn Storage>, sync_delay: Duration) -> DelayedStorage {
        DelayedStorage { inner, sync_delay }
    }

    fn wrap(&self, inner: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(DelayedFile { inner, sync_delay: self.sync_delay })
    }
}

impl Storage for DelayedStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(self.inner.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.wrap(self.inner.create(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.inner.lock()
    }

    fn path(&self, name: &str) -> String {
        self.inner.path(name)
    }
}

impl File for DelayedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        thread::sleep(self.sync_delay);
        self.inner.sync()
    }

    fn prefetch(&self, offset: u64, len: u64) {
        self.inner.prefetch(offset, len);
    }
}
