//! A storage that reads from another one and keeps what is written to itself: recovery can run for the
//! verifier's sake without changing a byte.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;

use wal::{File, Storage};

use crate::sync::{Arc, Mutex};

/// Bytes that are kept as one piece once one of them is written.
const BLOCK: u64 = 4096;

/// The overlay. Names map to files of the base, or to nothing where they were removed.
#[derive(Debug)]
pub(crate) struct OverlayStorage {
    base: Arc<dyn Storage>,
    names: Mutex<BTreeMap<String, Option<Arc<OverlayFile>>>>,
}

#[derive(Debug)]
struct OverlayFile {
    base: Option<Arc<dyn File>>,
    state: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// How much of the base still shows: a file that was cut short and grew again is zero in between.
    base_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl OverlayStorage {
    pub(crate) fn new(base: Arc<dyn Storage>) -> Self {
        Self { base, names: Mutex::new(BTreeMap::new()) }
    }

    fn find(&self, name: &str) -> io::Result<Arc<OverlayFile>> {
        let mut names = self.names.lock();
        match names.get(name) {
            Some(Some(file)) => return Ok(file.clone()),
            Some(None) => return Err(io::ErrorKind::NotFound.into()),
            None => {}
        }
        let base = self.base.open(name)?;
        let len = base.len()?;
        let state = Mutex::new(Written { len, base_len: len, blocks: BTreeMap::new() });
        let file = Arc::new(OverlayFile { base: Some(base), state });
        names.insert(name.to_string(), Some(file.clone()));
        Ok(file)
    }
}

impl Storage for OverlayStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if self.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let state = Mutex::new(Written { len: 0, base_len: 0, blocks: BTreeMap::new() });
        let file = Arc::new(OverlayFile { base: None, state });
        self.names.lock().insert(name.to_string(), Some(file.clone()));
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(from)?;
        let mut names = self.names.lock();
        names.insert(from.to_string(), None);
        names.insert(to.to_string(), Some(file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.names.lock().insert(name.to_string(), None);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let base = self.base.list()?;
        let names = self.names.lock();
        let unchanged = base.into_iter().filter(|name| !names.contains_key(name));
        let ours = names.iter().filter(|(_, file)| file.is_some()).map(|(name, _)| name.clone());
        let mut all: Vec<_> = unchanged.chain(ours).collect();
        all.sort_unstable();
        Ok(all)
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.base.lock()
    }

    fn path(&self, name: &str) -> String {
        self.base.path(name)
    }
}

impl OverlayFile {
    fn read_base(&self, state: &Written, buf: &mut [u8], offset: u64) -> io::Result<()> {
        buf.fill(0);
        let visible = state.base_len.saturating_sub(offset).min(buf.len() as u64) as usize;
        match &self.base {
            Some(base) => base.read_at(&mut buf[..visible], offset).map(drop),
            None => Ok(()),
        }
    }
}

impl File for OverlayFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state.lock();
        let len = state.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        let buf = &mut buf[..len];
        self.read_base(&state, buf, offset)?;
        let end = offset + len as u64;
        for (&block, bytes) in state.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = block * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            let target = (from - offset) as usize..(to - offset) as usize;
            buf[target].copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
        }
        Ok(len)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let end = offset + buf.len() as u64;
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            let start = block * BLOCK;
            if !state.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK as usize].into_boxed_slice();
                self.read_base(&state, &mut bytes, start)?;
                state.blocks.insert(block, bytes);
            }
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            if let Some(bytes) = state.blocks.get_mut(&block) {
                let source = &buf[(from - offset) as usize..(to - offset) as usize];
                bytes[(from - start) as usize..(to - start) as usize].copy_from_slice(source);
            }
        }
        state.len = state.len.max(end);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if len < state.len {
            state.base_len = state.base_len.min(len);
            state.blocks.retain(|&block, _| block * BLOCK < len);
            if let Some(last) = state.blocks.get_mut(&(len / BLOCK)) {
                last[(len % BLOCK) as usize..].fill(0);
            }
        }
        state.len = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn prefetch(&self, offset: u64, len: u64) {
        if let Some(base) = &self.base {
            base.prefetch(offset, len);
        }
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use std::io::ErrorKind;

    use wal::MemoryStorage;

    use super::*;

    const SIZE: usize = 3 * BLOCK as usize;

    fn bytes(storage: &dyn Storage, name: &str) -> Vec<u8> {
        let file = storage.open(name).unwrap();
        let mut bytes = vec![9; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
        bytes
    }

    /// A base with two files, and an overlay of it.
    fn overlay() -> (MemoryStorage, OverlayStorage) {
        let base = MemoryStorage::new();
        for (name, byte) in [("a", 1), ("b", 2)] {
            base.create(name).unwrap().write_at(&[byte; SIZE], 0).unwrap();
        }
        (base.clone(), OverlayStorage::new(Arc::new(base)))
    }

    #[test]
    fn whatever_is_changed_the_base_is_as_it_was() {
        let (base, overlay) = overlay();
        let file = overlay.open("a").unwrap();
        file.write_at(b"written", BLOCK - 3).unwrap();
        file.set_len(BLOCK).unwrap();
        file.sync().unwrap();
        overlay.remove("b").unwrap();
        overlay.create("b").unwrap().write_at(b"new", 0).unwrap();
        overlay.rename("b", "c").unwrap();
        overlay.sync_dir().unwrap();
        assert_eq!(overlay.list().unwrap(), ["a", "c"]);
        assert_eq!(bytes(&overlay, "c"), b"new");
        assert_eq!(base.list().unwrap(), ["a", "b"]);
        assert_eq!((bytes(&base, "a"), bytes(&base, "b")), (vec![1; SIZE], vec![2; SIZE]));
    }

    #[test]
    fn a_file_that_was_cut_and_grew_again_is_zero_in_between() {
        let (_, overlay) = overlay();
        let file = overlay.open("a").unwrap();
        file.write_at(&[7; 20], 2 * BLOCK - 10).unwrap();
        file.set_len(2 * BLOCK - 5).unwrap();
        file.set_len(SIZE as u64).unwrap();
        let mut expected = vec![1; SIZE];
        expected[2 * BLOCK as usize - 10..].fill(0);
        expected[2 * BLOCK as usize - 10..][..5].fill(7);
        assert_eq!(bytes(&overlay, "a"), expected);
        file.prefetch(0, 100);
        assert_eq!(bytes(&overlay, "a"), expected);
    }

    #[test]
    fn names_that_were_taken_or_removed_are_refused_as_by_any_folder() {
        let (_, overlay) = overlay();
        assert_eq!(overlay.create("a").unwrap_err().kind(), ErrorKind::AlreadyExists);
        overlay.remove("a").unwrap();
        for missing in [overlay.open("a").map(drop), overlay.remove("a"), overlay.rename("a", "c")] {
            assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(overlay.path("a"), "memory:a");
        let _held = overlay.lock().unwrap();
        assert_eq!(overlay.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}
