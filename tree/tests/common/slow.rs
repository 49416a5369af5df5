//! A disk whose reads last so long that pages are written in their middle.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use wal::{File, MemoryStorage, Storage};

thread_local! {
    /// Pages that this thread has read while they were written; `None` where its reads are like any other's.
    pub static TORN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A disk that holds up reads of data files by a thread that asks for it ([`TORN`]): in the middle of a page, until
/// somebody has written it, or for a while.
#[derive(Debug)]
pub struct SlowStorage(pub MemoryStorage);

#[derive(Debug)]
struct SlowFile(Arc<dyn File>);

impl SlowStorage {
    fn slow(name: &str, file: Arc<dyn File>) -> Arc<dyn File> {
        if name.ends_with(".db") { Arc::new(SlowFile(file)) } else { file }
    }
}

impl Storage for SlowStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Self::slow(name, self.0.open(name)?))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Self::slow(name, self.0.create(name)?))
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

impl File for SlowFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        let Some(torn) = TORN.get().filter(|_| offset.is_multiple_of(9)) else { return Ok(read) };
        let (mut now, half) = (buf.to_vec(), buf.len() / 2);
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(1));
            self.0.read_at(&mut now, offset)?;
            if now[half..] != buf[half..] {
                TORN.set(Some(torn + 1));
                buf[half..].copy_from_slice(&now[half..]);
                break;
            }
        }
        Ok(read)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(buf, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}
