//! Reading a log's segments for a copy of it, while the log goes on.
//!
//! A copy is a log like any other: whole segments, the last of them cut behind a record and zero from there on.
//! Cutting matters. What the files hold behind the durable end may be half of a flush, or what a recycled segment
//! held before; recovery would have to judge it, and a record that knows of a later durable position would make the
//! copy look damaged.

use std::io::{self, Read};
use std::sync::Arc;

use crate::commit::Urgency;
use crate::segment::HEADER_BYTES;
use crate::storage::File;
use crate::{Error, Log, Lsn};

/// A segment as it belongs into a copy: its bytes up to the copy's end, zeros behind. Always as long as a segment.
#[derive(Debug)]
pub struct SegmentReader {
    name: String,
    path: String,
    file: Arc<dyn File>,
    offset: u64,
    /// Where the copied bytes end and the zeros begin.
    cut: u64,
    len: u64,
}

impl Log {
    /// The number of the segment that has the byte before `lsn`: recovery from `lsn` begins with that segment.
    pub fn segment_number(&self, lsn: Lsn) -> u64 {
        self.core.segments.number_before(lsn.get())
    }

    /// Where the records of a segment begin. [`Log::recycle`] up to here keeps the segment and all behind it.
    pub fn segment_start(&self, number: u64) -> Lsn {
        Lsn::new(self.core.segments.start(number) + HEADER_BYTES)
    }

    /// Opens a segment for a copy that ends at `end`, which must be the end of a record. The log is made durable up
    /// to there first.
    ///
    /// The caller keeps [`Log::recycle`] behind the segment until it is read: else its file becomes another segment.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no such segment; [`Error::Poisoned`]; [`Error::Beyond`] where the log has not got
    /// as far as `end`.
    pub fn read_segment(&self, number: u64, end: Lsn) -> Result<SegmentReader, Error> {
        self.core.wait(end.get(), Urgency::AtOnce)?;
        let segments = &self.core.segments;
        let file = segments.open(number)?;
        let len = segments.segment_bytes;
        let end = if planted!("backup-log-uncut") { u64::MAX } else { end.get() };
        let cut = end.saturating_sub(segments.start(number)).min(len);
        let (name, path) = (segments.file_name(number), segments.path(number));
        Ok(SegmentReader { name, path, file, offset: 0, cut, len })
    }
}

impl SegmentReader {
    /// The name that the segment's file has, and must have in the copy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes there are, from the beginning of the segment.
    pub fn total_bytes(&self) -> u64 {
        self.len
    }
}

impl Read for SegmentReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let until = if self.offset < self.cut { self.cut } else { self.len };
        let most = (until - self.offset).min(buf.len() as u64) as usize;
        let buf = &mut buf[..most];
        let count = if self.offset < self.cut {
            self.file.read_at(buf, self.offset)?
        } else {
            buf.fill(0);
            most
        };
        if count == 0 && most > 0 {
            let reason = format!("{} ends at byte {}, it was cut short", self.path, self.offset);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;
    use crate::{MemoryStorage, Options, Storage};

    fn options() -> Options {
        Options { segment_bytes: 8192, ..Options::default() }
    }

    /// Copies what recovery from `from` to `end` needs.
    fn copy(log: &Log, from: Lsn, end: Lsn) -> Arc<dyn Storage> {
        let copy = MemoryStorage::new();
        for number in log.segment_number(from)..=log.segment_number(end) {
            let mut segment = log.read_segment(number, end).unwrap();
            let (mut bytes, name) = (Vec::new(), segment.name().to_owned());
            segment.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, segment.total_bytes());
            copy.create(&name).unwrap().write_at(&bytes, 0).unwrap();
        }
        Arc::new(copy)
    }

    #[test]
    fn a_copy_that_ends_behind_any_record_opens_with_the_records_up_to_there() {
        let log = Log::create(Arc::new(MemoryStorage::new()), "wal", options()).unwrap();
        let mut ends = vec![log.end()];
        for n in 0..60_u64 {
            // Some fill a segment to the last byte, some leave too little room for a pad.
            let len = [100, 700, 1_300, 4_072][n as usize % 4];
            ends.push(log.append(&vec![n as u8; len]).unwrap());
            if n % 3 == 0 {
                log.wait(ends[ends.len() - 1]).unwrap();
            }
        }
        for (count, &end) in ends.iter().enumerate() {
            for from in [ends[0], ends[count / 2], end] {
                let (copy, mut found) = (copy(&log, from, end), Vec::new());
                let mut receive = |lsn, payload: &[u8]| {
                    found.push((lsn, payload[0]));
                    Ok(())
                };
                let opened = Log::open(copy, "wal", options(), from, &mut receive).unwrap();
                assert_eq!(opened.end(), end);
                let records = ends[1..=count].iter().copied().zip(0_u8..);
                assert_eq!(found, records.filter(|(lsn, _)| *lsn > from).collect::<Vec<_>>());
                opened.wait(opened.append(b"more").unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn a_copy_makes_the_log_durable_and_cannot_end_behind_it() {
        let log = Log::create(Arc::new(MemoryStorage::new()), "wal", options()).unwrap();
        let end = log.append(b"not waited for").unwrap();
        assert!(log.durable() < end);
        log.read_segment(0, end).unwrap();
        assert_eq!(log.durable(), end);
        let beyond = log.read_segment(0, Lsn::new(end.get() + 8)).unwrap_err();
        assert!(matches!(beyond, Error::Beyond { .. }), "{beyond}");
        assert!(log.read_segment(9, end).unwrap_err().to_string().contains("wal-0000000000000009.log"));
    }

    #[test]
    fn recycling_up_to_a_segments_start_keeps_the_segment() {
        let log = Log::create(Arc::new(MemoryStorage::new()), "wal", options()).unwrap();
        for _ in 0..20 {
            let _not_waited_for = log.append(&[1; 2_000]).unwrap();
        }
        log.flush().unwrap();
        let last = log.segment_number(log.end());
        assert!(last > 5);
        log.recycle(log.segment_start(last - 2)).unwrap();
        assert!(log.read_segment(last - 3, log.end()).is_err());
        (last - 2..=last).for_each(|number| drop(log.read_segment(number, log.end()).unwrap()));
    }
}
