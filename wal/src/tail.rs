//! The end of the log in memory: what was appended and not yet handed to a flush.
//!
//! There are two buffers. Appends fill one while a flush writes the other; they are swapped under the append
//! lock and keep their capacity, so that in a steady state nothing is allocated.

use crate::record;
use crate::segment::{HEADER_BYTES, Segments};

/// Bytes to write, in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) buffer: Vec<u8>,
    /// Where the buffer's contiguous stretches belong. There is one more for each turn of a segment.
    pub(crate) runs: Vec<Run>,
}

/// A contiguous stretch of a batch, up to the next one's beginning; never spans segments.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Run {
    pub(crate) position: u64,
    pub(crate) buffer_offset: usize,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Each run's position and bytes.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = self.runs.iter().skip(1).map(|run| run.buffer_offset).chain([self.buffer.len()]);
        self.runs.iter().zip(ends).map(|(run, end)| (run.position, &self.buffer[run.buffer_offset..end]))
    }

    /// Forgets the bytes; keeps the memory, unless a burst has made it much larger than usual.
    pub(crate) fn clear(&mut self, usual_bytes: usize) {
        self.buffer.clear();
        self.runs.clear();
        if self.buffer.capacity() > usual_bytes.saturating_mul(4) {
            self.buffer.shrink_to(usual_bytes);
        }
    }

    fn begin_run(&mut self, position: u64) {
        self.runs.push(Run { position, buffer_offset: self.buffer.len() });
    }
}

/// The appending end. Lives behind the append lock.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) batch: Batch,
    /// The position behind the last record.
    pub(crate) end: u64,
    pub(crate) appends: u64,
    pub(crate) appended_bytes: u64,
}

impl Tail {
    pub(crate) fn new(end: u64) -> Tail {
        Tail { batch: Batch::default(), end, appends: 0, appended_bytes: 0 }
    }

    /// Where a record of that size would begin: here, or behind the header of the next segment.
    pub(crate) fn place(&self, segments: &Segments, payload_len: usize) -> u64 {
        let offset = self.end % segments.segment_bytes;
        // An offset of 0 is the end of a segment that the last record has filled to the last byte.
        if offset != 0 && offset + record::framed_len(payload_len) as u64 <= segments.segment_bytes {
            return self.end;
        }
        segments.start(segments.number_before(self.end) + 1) + HEADER_BYTES
    }

    /// Appends a record at the position that [`Tail::place`] gave; answers the position behind it.
    pub(crate) fn push(
        &mut self,
        segments: &Segments,
        position: u64,
        synced: u64,
        payload: &[u8],
        payload_crc: u32,
    ) -> u64 {
        if position != self.end {
            self.turn(segments, position, synced);
        } else if self.batch.is_empty() {
            self.batch.begin_run(position);
        }
        record::push(&mut self.batch.buffer, position, synced, payload, payload_crc);
        self.end = position + record::framed_len(payload.len()) as u64;
        self.appends += 1;
        self.appended_bytes += payload.len() as u64;
        self.end
    }

    /// Closes the segment with a pad, and opens the next one with its header.
    fn turn(&mut self, segments: &Segments, position: u64, synced: u64) {
        let start = position - HEADER_BYTES;
        if start - self.end >= record::HEADER_BYTES as u64 {
            if self.batch.is_empty() {
                self.batch.begin_run(self.end);
            }
            record::push_pad(&mut self.batch.buffer, self.end, synced);
        }
        self.batch.begin_run(start);
        segments.push_header(&mut self.batch.buffer, segments.number(start));
    }
}
