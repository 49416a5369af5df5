//! Snapshots of a replica: all its items as they are behind one entry, in a file without a name.
//!
//! An item is the lengths of its key and value (4 bytes each, little-endian), the key and the value; the file ends with
//! the lengths 2^32-1 and the CRC-32 of all that is before it. No item is held in memory but the one that is under way.
//! Entries are not applied while a snapshot is being made.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{APPLIED, Applied, Replica, Snapshot, in_tree};
use crate::consensus::{RaftSnapshotBuilder, SnapshotMeta, Types};

/// Stands where the length of a key would: there are no more.
const END: u32 = u32::MAX;
/// No value is longer: a length above it is damage, and not to be believed with memory.
const MAX_LEN: u32 = 64 << 20;

/// The items of a group. Cheap to clone; the file is gone when the last clone is.
#[derive(Clone, Debug)]
pub struct SnapshotFile(Arc<File>);

impl SnapshotFile {
    /// An empty one, to be filled by a sender's bytes.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn create() -> io::Result<Self> {
        Ok(Self(Arc::new(tempfile::tempfile()?)))
    }

    /// Its bytes, from the first on. Only one of all clones may be read or written at a time.
    ///
    /// # Errors
    /// A failing disk.
    pub fn rewind(&self) -> io::Result<&File> {
        let mut file = &*self.0;
        file.rewind()?;
        Ok(file)
    }
}

/// Makes snapshots of a replica.
#[derive(Debug)]
pub struct Builder {
    replica: Replica,
    applied: Arc<Mutex<Applied>>,
    newest: Arc<Mutex<Option<Snapshot>>>,
}

impl Builder {
    pub(super) fn new(
        replica: Replica,
        applied: Arc<Mutex<Applied>>,
        newest: Arc<Mutex<Option<Snapshot>>>,
    ) -> Self {
        Self { replica, applied, newest }
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let applied = self.applied.clone().lock_owned().await;
        let replica = self.replica.clone();
        let built = tokio::task::spawn_blocking(move || {
            let file = copy(&replica)?;
            // The engine gives up entries now: the tree must not need them after a crash.
            replica.0.database.flush().map_err(io::Error::other)?;
            let (last_log_id, last_membership) = applied.clone();
            Ok::<_, io::Error>(Snapshot {
                meta: SnapshotMeta { last_log_id, last_membership },
                snapshot: file,
            })
        });
        let snapshot = built.await.map_err(io::Error::other)??;
        *self.newest.lock().await = Some(snapshot.clone());
        Ok(snapshot)
    }
}

/// Computes a CRC-32 of what passes through it.
struct Summed<T> {
    inner: T,
    sum: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, sum: crc32fast::Hasher::new() }
    }
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Summed<R> {
    fn take(&mut self, len: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.inner.read_exact(&mut bytes)?;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    fn take_len(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.inner.read_exact(&mut bytes)?;
        self.sum.update(&bytes);
        Ok(u32::from_le_bytes(bytes))
    }
}

fn len(bytes: &[u8]) -> io::Result<[u8; 4]> {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len <= MAX_LEN);
    let too_long =
        || io::Error::other(format!("an item of {} bytes is too long for a snapshot", bytes.len()));
    Ok(len.ok_or_else(too_long)?.to_le_bytes())
}

fn copy(replica: &Replica) -> io::Result<SnapshotFile> {
    let file = SnapshotFile::create()?;
    let mut writer = Summed::new(BufWriter::new(file.rewind()?));
    for item in replica.scan() {
        let (key, value) = item.map_err(io::Error::other)?;
        writer.put(&len(&key)?)?;
        writer.put(&len(&value)?)?;
        writer.put(&key)?;
        writer.put(&value)?;
    }
    writer.put(&END.to_le_bytes())?;
    let sum = writer.sum.clone().finalize();
    writer.inner.write_all(&sum.to_le_bytes())?;
    writer.inner.flush()?;
    drop(writer);
    Ok(file)
}

/// Replaces a replica by a snapshot and the entry that it is of, at one instant and durably. Blocks.
pub(super) fn install(replica: &Replica, file: &SnapshotFile, applied: &Applied) -> io::Result<()> {
    let inner = &replica.0;
    let staged = inner.database.stage_table(&inner.name).map_err(io::Error::other)?;
    let table = staged.table();
    let put = |key: &[u8], value: &[u8]| table.put(key, value).map(drop).map_err(io::Error::other);
    let mut reader = Summed::new(BufReader::new(file.rewind()?));
    loop {
        let key_len = reader.take_len()?;
        if key_len == END {
            break;
        }
        let value_len = reader.take_len()?;
        if key_len.max(value_len) > MAX_LEN {
            return Err(damaged());
        }
        let (key, value) = (reader.take(key_len)?, reader.take(value_len)?);
        put(&in_tree(&key), &value)?;
    }
    let sum = reader.sum.clone().finalize();
    if reader.take_len()? != sum {
        return Err(damaged());
    }
    put(APPLIED, &postcard::to_stdvec(applied).map_err(io::Error::other)?)?;
    // Under the lock: nobody reads the old table as it is dropped.
    let mut current = inner.table.write();
    *current = staged.publish(true).map_err(io::Error::other)?;
    Ok(())
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the snapshot is damaged: it must be sent again")
}
