//! Log sequence numbers.

use std::fmt;

/// A position in the log's address space, in bytes from its beginning: the position just behind a record.
///
/// Positions are addresses: segment `lsn / segment_bytes`, byte `lsn % segment_bytes` of its file. A record
/// is durable as soon as [`Log::durable`](crate::Log::durable) has reached its LSN. No record has the LSN 0,
/// so zero can stand for "never logged", for example in a fresh page.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// Before every record.
    pub const ZERO: Lsn = Lsn(0);

    /// The LSN of a position in bytes, as [`Lsn::get`] gave it.
    pub const fn new(position: u64) -> Lsn {
        Lsn(position)
    }

    /// The position in bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
