//! Where bytes live: a folder of files, as a trait, so that the same log runs on a disk, in memory, and on
//! a disk that fails at a chosen call.
//!
//! The contract is that of POSIX, no more: written data is durable after [`File::sync`] of that file, and a
//! change of the folder (create, rename, remove) after [`Storage::sync_dir`].

mod delayed;
mod dir;
mod faulty;
mod image;
mod memory;
mod random;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use delayed::DelayedStorage;
pub use dir::DirStorage;
pub use faulty::{Call, Fault, FaultyStorage};
pub use memory::MemoryStorage;

/// A folder of files.
pub trait Storage: Send + Sync + Debug {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` where there is no such file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Makes an empty file. Its entry is durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `AlreadyExists` where there is such a file.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file, atomically, and replaces `to` where it exists. Durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `NotFound` where there is no `from`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `NotFound` where there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes every change of the folder so far durable.
    ///
    /// # Errors
    /// Where the disk refuses; what is durable is then unknown.
    fn sync_dir(&self) -> io::Result<()>;

    /// Locks the folder against every other opener, in this process and in others, until the answer is
    /// dropped.
    ///
    /// # Errors
    /// `WouldBlock` where someone holds it.
    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>>;

    /// How messages name that file.
    fn path(&self, name: &str) -> String;
}

/// An open file: read and written at offsets, by many threads at once.
pub trait File: Send + Sync + Debug {
    /// Reads into all of `buf`, or as much as there is up to the end of the file, and says how many bytes.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf`; extends the file where it ends before.
    ///
    /// # Errors
    /// Where the disk refuses or is full; any part may have been written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// The size in bytes.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// Where the disk refuses.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file or extends it with zeros.
    ///
    /// # Errors
    /// Where the disk refuses or is full.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the data and the size durable (fdatasync).
    ///
    /// # Errors
    /// Where the disk refuses. The data that was written since the last sync may then be lost although
    /// it can still be read and although a later sync succeeds.
    fn sync(&self) -> io::Result<()>;

    /// A hint that these bytes will be read soon.
    fn prefetch(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))
}

fn already_exists(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("the file {name} exists"))
}

fn locked() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "another opener holds the lock of this folder")
}
