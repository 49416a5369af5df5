//! What one append to the log carries: operations on one or more pages, which recovery redoes together.
//!
//! ```text
//! partition u32 | delta i32 | { page id u32 | operation } ...
//! ```
//!
//! The log frames and checksums records, so that a record here is whole or absent; its operations end where
//! it ends.

use super::codec::take_u32;
use super::{DecodeError, Op, PageId};

/// Writes a record into a buffer, behind what the buffer already holds.
#[derive(Debug)]
pub(crate) struct RecordWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> RecordWriter<'a> {
    /// Begins a record of that partition whose operations change its number of keys by `delta`.
    pub(crate) fn new(out: &'a mut Vec<u8>, partition: u32, delta: i32) -> Self {
        out.extend_from_slice(&partition.to_le_bytes());
        out.extend_from_slice(&delta.to_le_bytes());
        RecordWriter { out }
    }

    /// Adds an operation on a page. Operations are redone in the order in which they were added.
    pub(crate) fn op(&mut self, page: PageId, op: &Op<'_>) -> &mut Self {
        self.out.extend_from_slice(&page.0.to_le_bytes());
        op.encode(self.out);
        self
    }
}

/// A record read from the log.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Record<'a> {
    /// The partition whose pages it changes.
    pub(crate) partition: u32,
    /// By how much it changes the partition's number of keys.
    pub(crate) delta: i32,
    ops: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads the record's beginning; its operations are read by [`ops`](Record::ops).
    ///
    /// # Errors
    /// If the payload is too short to be one.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Record<'a>, DecodeError> {
        let mut rest = payload;
        let partition = take_u32(&mut rest)?;
        let delta = take_u32(&mut rest)?.cast_signed();
        Ok(Record { partition, delta, ops: rest })
    }

    /// The operations in order, each with its page.
    pub(crate) fn ops(&self) -> Ops<'a> {
        Ops { rest: self.ops }
    }
}

/// The operations of a [`Record`]. Ends behind the first error.
#[derive(Clone, Debug)]
pub(crate) struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<(PageId, Op<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let page = take_u32(&mut self.rest).map(PageId);
        let next = page.and_then(|page| Ok((page, Op::decode(&mut self.rest)?)));
        if next.is_err() {
            self.rest = &[];
        }
        Some(next)
    }
}
