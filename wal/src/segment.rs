//! Segment files: their names, their header, and where a position lies.
//!
//! ```text
//! {name}-{number:016x}.log      position = number * segment_bytes + offset in the file
//!
//! 0        8         12          16       24              32      36             4096
//! | magic  | version  | reserved | number | segment_bytes | crc   | zeros        | records ...
//! ```
//!
//! A segment has its full size from the beginning, zero-filled and synced, so that a flush changes data only
//! and no metadata. The header is rewritten together with the first record of the segment: before that, the
//! file is all zeros or still bears the header of the segment that it used to be.

use std::sync::Arc;

use crate::storage::{File, Storage};
use crate::{Error, record};

/// The size of a segment's header in bytes; the records begin behind it.
pub(crate) const HEADER_BYTES: u64 = 4096;
const MAGIC: [u8; 8] = *b"HHWALSEG";
const VERSION: u32 = 1;
/// The part of the header that the CRC covers; the CRC follows.
const COVERED: usize = 32;
const FILL_BYTES: usize = 1 << 20;

/// A log's files, and the arithmetic of its positions.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) name: String,
    pub(crate) segment_bytes: u64,
    pub(crate) sync: bool,
}

/// What a segment's header says.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Header {
    /// This is the segment that the file's name says.
    Current,
    /// Nothing was ever flushed to the segment of that name.
    Unused,
}

impl Segments {
    /// The segment that a position lies in.
    pub(crate) fn number(&self, position: u64) -> u64 {
        position / self.segment_bytes
    }

    /// The segment that the byte before a position lies in: the one whose record ends there.
    pub(crate) fn number_before(&self, position: u64) -> u64 {
        self.number(position.saturating_sub(1))
    }

    pub(crate) fn start(&self, number: u64) -> u64 {
        number * self.segment_bytes
    }

    /// The largest payload that a segment takes, in bytes.
    pub(crate) fn largest_payload(&self) -> u64 {
        self.segment_bytes - HEADER_BYTES - record::HEADER_BYTES as u64
    }

    pub(crate) fn file_name(&self, number: u64) -> String {
        format!("{}-{number:016x}.log", self.name)
    }

    fn unfinished_name(&self, number: u64) -> String {
        format!("{}-{number:016x}.tmp", self.name)
    }

    /// How messages name a segment.
    pub(crate) fn path(&self, number: u64) -> String {
        self.storage.path(&self.file_name(number))
    }

    /// The numbers of the segments that exist, ascending.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, Error> {
        self.listed(".log")
    }

    /// The numbers of segments whose making was cut.
    pub(crate) fn unfinished(&self) -> Result<Vec<u64>, Error> {
        self.listed(".tmp")
    }

    fn listed(&self, ending: &str) -> Result<Vec<u64>, Error> {
        let names = self.storage.list().map_err(Error::io("list", self.storage.path("")))?;
        let number = |name: &String| {
            let digits = name.strip_prefix(&self.name)?.strip_prefix('-')?.strip_suffix(ending)?;
            let number = u64::from_str_radix(digits, 16).ok()?;
            // One spelling a number, and no number whose positions would overflow.
            (digits == format!("{number:016x}") && number < u64::MAX / self.segment_bytes).then_some(number)
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn open(&self, number: u64) -> Result<Arc<dyn File>, Error> {
        self.storage.open(&self.file_name(number)).map_err(Error::io("open", self.path(number)))
    }

    /// Makes a segment: zero-filled and synced under another name first, so that a file by the name of a
    /// segment always has its full size.
    pub(crate) fn make(&self, number: u64, beginning: &[u8]) -> Result<Arc<dyn File>, MakeError> {
        let unfinished = self.unfinished_name(number);
        let path = self.storage.path(&unfinished);
        // Left behind by an attempt that failed.
        let _ = self.storage.remove(&unfinished);
        let file = self.storage.create(&unfinished).map_err(Error::io("create", path.clone()));
        let filled = file.and_then(|file| {
            self.fill(&*file, beginning).map_err(Error::io("write", path.clone()))?;
            self.sync(&*file, || path.clone())?;
            Ok(file)
        });
        let file = filled.map_err(|error| {
            let _ = self.storage.remove(&unfinished);
            MakeError::Harmless(error)
        })?;
        let named =
            self.storage.rename(&unfinished, &self.file_name(number)).map_err(Error::io("rename", path));
        named.and_then(|()| self.sync_dir()).map_err(MakeError::Harmful)?;
        Ok(file)
    }

    fn fill(&self, file: &dyn File, beginning: &[u8]) -> std::io::Result<()> {
        let mut chunk = vec![0; FILL_BYTES.min(self.segment_bytes as usize)];
        chunk[..beginning.len()].copy_from_slice(beginning);
        let mut offset = 0;
        while offset < self.segment_bytes {
            let len = (self.segment_bytes - offset).min(chunk.len() as u64);
            file.write_at(&chunk[..len as usize], offset)?;
            chunk[..beginning.len()].fill(0);
            offset += len;
        }
        Ok(())
    }

    /// Syncs a file, unless the options say otherwise; `path` names it where that fails.
    pub(crate) fn sync(&self, file: &dyn File, path: impl FnOnce() -> String) -> Result<(), Error> {
        let sync = || match file.sync() {
            Err(_) if planted!("failed-sync-retried") => file.sync(),
            answer => answer,
        };
        match self.sync && !planted!("sync-skipped") {
            true => sync().map_err(|source| Error::io("sync", path())(source)),
            false => Ok(()),
        }
    }

    /// Syncs the folder, unless the options say otherwise.
    pub(crate) fn sync_dir(&self) -> Result<(), Error> {
        match self.sync {
            true => self.storage.sync_dir().map_err(Error::io("sync the folder", self.storage.path(""))),
            false => Ok(()),
        }
    }

    /// Removes an unfinished segment.
    pub(crate) fn remove_unfinished(&self, number: u64) -> Result<(), Error> {
        let name = self.unfinished_name(number);
        self.storage.remove(&name).map_err(Error::io("remove", self.storage.path(&name)))
    }

    /// Removes a segment.
    pub(crate) fn remove(&self, number: u64) -> Result<(), Error> {
        self.storage.remove(&self.file_name(number)).map_err(Error::io("remove", self.path(number)))
    }

    /// Gives a segment the name of a later one.
    pub(crate) fn rename(&self, from: u64, to: u64) -> Result<(), Error> {
        let result = self.storage.rename(&self.file_name(from), &self.file_name(to));
        result.map_err(Error::io("rename", self.path(from)))
    }

    /// Appends the header of a segment, [`HEADER_BYTES`] long.
    pub(crate) fn push_header(&self, buffer: &mut Vec<u8>, number: u64) {
        let end = buffer.len() + HEADER_BYTES as usize;
        buffer.extend_from_slice(&self.header(number));
        buffer.resize(end, 0);
    }

    fn header(&self, number: u64) -> [u8; COVERED + 4] {
        let mut header = [0; COVERED + 4];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..24].copy_from_slice(&number.to_le_bytes());
        header[24..32].copy_from_slice(&self.segment_bytes.to_le_bytes());
        let crc = crc32fast::hash(&header[..COVERED]);
        header[COVERED..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Reads what the header of the segment `number` says.
    ///
    /// A header is one sector and so is never torn: it is all zeros, or one that this program wrote.
    pub(crate) fn check_header(&self, number: u64, image: &[u8]) -> Result<Header, Error> {
        let corrupt = |reason: String| Error::Corrupt { file: self.path(number), offset: 0, reason };
        let Some(found) = image.first_chunk::<{ COVERED + 4 }>() else {
            return Err(corrupt(format!("the file has only {} bytes, less than a header", image.len())));
        };
        if image.iter().take(HEADER_BYTES as usize).skip(found.len()).any(|&byte| byte != 0) {
            return Err(corrupt(
                "there are bytes behind the segment's header where only zeros can be".to_owned(),
            ));
        }
        if found.iter().all(|&byte| byte == 0) {
            return Ok(Header::Unused);
        }
        if found[..8] != MAGIC {
            return Err(corrupt("the file does not begin as a segment of a log does".to_owned()));
        }
        let crc = crc32fast::hash(&found[..COVERED]).to_le_bytes();
        if found[COVERED..] != crc {
            return Err(corrupt("the checksum of the segment's header is wrong".to_owned()));
        }
        let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
        if version != VERSION {
            return Err(corrupt(format!(
                "its format has the version {version}, this program reads {VERSION}"
            )));
        }
        let numbers = |at: usize| found[at..at + 8].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        if numbers(24) != self.segment_bytes {
            return Err(Error::Options {
                reason: format!(
                    "segment_bytes is {}, but {} was made with {}",
                    self.segment_bytes,
                    self.path(number),
                    numbers(24)
                ),
            });
        }
        match numbers(16) {
            n if n == number => Ok(Header::Current),
            n if n < number => Ok(Header::Unused),
            n => Err(corrupt(format!("its header says that it is segment {n:016x}"))),
        }
    }
}

/// Why a segment was not made.
pub(crate) enum MakeError {
    /// Nothing has changed that anyone reads: the log can go on as long as it does not need the segment.
    Harmless(Error),
    /// What the folder holds is unknown.
    Harmful(Error),
}

impl MakeError {
    pub(crate) fn into_error(self) -> Error {
        match self {
            MakeError::Harmless(error) | MakeError::Harmful(error) => error,
        }
    }
}
