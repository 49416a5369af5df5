//! Scans in bounded memory: a chunk at a time is read on a thread that may block, and while the client takes its time
//! over it, no thread is held.

use std::ops::Bound;

use tree::{Scan, Table};

use super::on_blocking_thread;
use crate::error::ApiError;

/// The most items of a chunk.
const CHUNK_ITEMS: usize = 512;
/// The bytes of keys and values from which on a chunk takes no more items.
const CHUNK_BYTES: usize = 128 << 10;

/// The keys of a scan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRange {
    /// The lower bound.
    pub start: Bound<Vec<u8>>,
    /// The upper bound.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// The keys that begin with `prefix`, from `start` on and below `end`.
    pub fn new(prefix: &[u8], start: Option<&[u8]>, end: Option<&[u8]>) -> Self {
        let low = start.filter(|start| *start > prefix).unwrap_or(prefix);
        let behind_prefix = successor(prefix);
        let high = match (end, behind_prefix.as_deref()) {
            (Some(end), Some(behind)) => Some(end.min(behind)),
            (end, behind) => end.or(behind),
        };
        let start = if low.is_empty() { Bound::Unbounded } else { Bound::Included(low.to_vec()) };
        Self { start, end: high.map_or(Bound::Unbounded, |high| Bound::Excluded(high.to_vec())) }
    }

    /// What is left of it behind `key`. A key from elsewhere, such as the cursor of another scan, makes it no wider.
    pub fn behind(mut self, key: Vec<u8>, backward: bool) -> Self {
        let bound = if backward { &mut self.end } else { &mut self.start };
        let is_within = match bound {
            Bound::Included(at) | Bound::Excluded(at) if backward => key < *at,
            Bound::Included(at) | Bound::Excluded(at) => key >= *at,
            Bound::Unbounded => true,
        };
        if is_within {
            *bound = Bound::Excluded(key);
        }
        self
    }
}

/// The least key above every key with that prefix; none for an empty prefix or one of 0xFF only.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// Items of a scan, in its order.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Keys and values.
    pub items: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether there are no more items behind these.
    pub is_last: bool,
}

/// A scan under way.
#[derive(Debug)]
pub struct Chunks {
    /// None while a chunk is being read; a reader that goes away then ends the scan.
    scan: Option<Scan>,
    /// Read, but not given out yet: it is how the end is known.
    next: Option<(Vec<u8>, Vec<u8>)>,
    /// How many items may still come.
    left: usize,
}

impl Chunks {
    /// The first `limit` items of a range.
    pub fn new(table: &Table, range: KeyRange, backward: bool, limit: usize) -> Self {
        let range = (range.start, range.end);
        let scan = if backward { table.scan_backward(range) } else { table.scan(range) };
        Self { scan: Some(scan), next: None, left: limit }
    }

    /// How many more items the limit allows.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next items. Behind the last chunk, or where the limit is reached, there are none.
    ///
    /// # Errors
    /// Those of a scan: a damaged page, a failing disk, a dropped table.
    pub async fn next(&mut self) -> Result<Chunk, ApiError> {
        let Some(scan) = self.scan.take() else { return Ok(Chunk { items: Vec::new(), is_last: true }) };
        let (at_most, pending) = (self.left.min(CHUNK_ITEMS), self.next.take());
        let (scan, read) = on_blocking_thread(move || fill(scan, pending, at_most)).await?;
        let (chunk, next) = read?;
        self.left -= chunk.items.len();
        self.next = next;
        self.scan = (!chunk.is_last).then_some(scan);
        Ok(chunk)
    }
}

type Item = (Vec<u8>, Vec<u8>);

/// Up to `at_most` items, and the one behind them.
fn fill(
    mut scan: Scan,
    mut next: Option<Item>,
    at_most: usize,
) -> (Scan, tree::Result<(Chunk, Option<Item>)>) {
    let mut read = || {
        let (mut chunk, mut bytes) = (Chunk::default(), 0);
        if next.is_none() {
            next = scan.next().transpose()?;
        }
        while chunk.items.len() < at_most && bytes < CHUNK_BYTES {
            let Some((key, value)) = next.take() else { break };
            bytes += key.len() + value.len();
            chunk.items.push((key, value));
            next = scan.next().transpose()?;
        }
        chunk.is_last = next.is_none();
        Ok((chunk, next.take()))
    };
    let read = read();
    (scan, read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range() {
        let range = |prefix: &[u8]| KeyRange::new(prefix, None, None);
        assert_eq!(range(b""), KeyRange { start: Bound::Unbounded, end: Bound::Unbounded });
        assert_eq!(range(b"user-").end, Bound::Excluded(b"user.".to_vec()));
        assert_eq!(range(b"a\xff\xff").end, Bound::Excluded(b"b".to_vec()));
        assert_eq!(range(b"\xff").end, Bound::Unbounded);
    }

    #[test]
    fn bounds_and_prefix_meet_in_the_narrower_range() {
        let range = KeyRange::new(b"user-", Some(b"user-5"), Some(b"zebra"));
        assert_eq!(range.start, Bound::Included(b"user-5".to_vec()));
        assert_eq!(range.end, Bound::Excluded(b"user.".to_vec()));
        let range = KeyRange::new(b"user-", Some(b"a"), Some(b"user-7"));
        assert_eq!(range.start, Bound::Included(b"user-".to_vec()));
        assert_eq!(range.end, Bound::Excluded(b"user-7".to_vec()));
    }

    #[test]
    fn a_cursor_leaves_out_what_was_given_in_either_direction() {
        let range = || KeyRange::new(b"", None, None);
        assert_eq!(range().behind(b"k".to_vec(), false).start, Bound::Excluded(b"k".to_vec()));
        assert_eq!(range().behind(b"k".to_vec(), true).end, Bound::Excluded(b"k".to_vec()));
    }

    #[test]
    fn a_cursor_of_another_scan_makes_the_range_no_wider() {
        let range = || KeyRange::new(b"user-", None, None);
        assert_eq!(range().behind(b"order-1".to_vec(), false), range());
        assert_eq!(range().behind(b"zebra".to_vec(), true), range());
        assert_eq!(range().behind(b"user-".to_vec(), false).start, Bound::Excluded(b"user-".to_vec()));
    }
}
