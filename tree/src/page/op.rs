//! The redo operations, and their form in the log.

use super::codec::{put_bytes, put_varint, take, take_bytes, take_u8, take_u16, take_u32, take_varint};
use super::{DecodeError, PageId, Value};

/// A change of one page: what the log records, and the only way to change a page
/// ([`apply`](Op::apply)). It says where in the page, not where in the tree: physiological logging, as in
/// ARIES (Mohan et al., 1992).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Op<'a> {
    /// Inserts a key and its value into a leaf.
    Insert {
        /// The slot that it gets; later ones move up.
        slot: u16,
        /// The key without the node's prefix.
        suffix: &'a [u8],
        /// The value.
        value: Value<'a>,
    },
    /// Replaces the value of a leaf's slot.
    Update {
        /// The slot.
        slot: u16,
        /// The new value.
        value: Value<'a>,
    },
    /// Removes a slot of a leaf or an inner node. An inner node keeps its last child; where its first child
    /// goes, the second one takes over the low fence as its bound.
    Remove {
        /// The slot; later ones move down.
        slot: u16,
    },
    /// Inserts a child into an inner node, behind another one.
    InsertChild {
        /// The slot that it gets, not 0; later ones move up.
        slot: u16,
        /// The child's lower bound without the node's prefix.
        suffix: &'a [u8],
        /// The child.
        child: PageId,
    },
    /// Makes a node the left half of a split.
    Truncate {
        /// How many slots it keeps; an inner node at least one.
        slots: u16,
        /// The new high fence, not above the old one. The prefix may grow by it.
        high: &'a [u8],
    },
    /// Replaces the page's whole content, but not its id and LSN.
    Image {
        /// The content in the compact form of [`image`](super::image).
        bytes: &'a [u8],
    },
    /// Makes the page [`Kind::Free`](super::Kind::Free).
    Free,
    /// Sets bits of a space page. Bits already set stay so.
    SetBits {
        /// The positions: `u16`, little endian.
        pages: &'a [u8],
    },
    /// Clears bits of a space page. Bits already clear stay so.
    ClearBits {
        /// The positions: `u16`, little endian.
        pages: &'a [u8],
    },
}

/// The operations' numbers in the log.
mod tag {
    pub(super) const INSERT: u8 = 1;
    pub(super) const UPDATE: u8 = 2;
    pub(super) const REMOVE: u8 = 3;
    pub(super) const INSERT_CHILD: u8 = 4;
    pub(super) const TRUNCATE: u8 = 5;
    pub(super) const IMAGE: u8 = 6;
    pub(super) const FREE: u8 = 7;
    pub(super) const SET_BITS: u8 = 8;
    pub(super) const CLEAR_BITS: u8 = 9;
}

impl<'a> Op<'a> {
    /// Appends the operation to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Op::Insert { slot, suffix, value } => {
                put_slot(out, tag::INSERT, slot);
                put_bytes(out, suffix);
                put_value(out, value);
            }
            Op::Update { slot, value } => {
                put_slot(out, tag::UPDATE, slot);
                put_value(out, value);
            }
            Op::Remove { slot } => put_slot(out, tag::REMOVE, slot),
            Op::InsertChild { slot, suffix, child } => {
                put_slot(out, tag::INSERT_CHILD, slot);
                put_bytes(out, suffix);
                out.extend_from_slice(&child.0.to_le_bytes());
            }
            Op::Truncate { slots, high } => {
                put_slot(out, tag::TRUNCATE, slots);
                put_bytes(out, high);
            }
            Op::Image { bytes } => put_list(out, tag::IMAGE, bytes),
            Op::Free => out.push(tag::FREE),
            Op::SetBits { pages } => put_list(out, tag::SET_BITS, pages),
            Op::ClearBits { pages } => put_list(out, tag::CLEAR_BITS, pages),
        }
    }

    /// Takes one operation from the beginning of `input`.
    ///
    /// # Errors
    /// If the bytes are none. How far `input` has moved then is unspecified.
    pub(crate) fn decode(input: &mut &'a [u8]) -> Result<Op<'a>, DecodeError> {
        Ok(match take_u8(input)? {
            tag::INSERT => {
                Op::Insert { slot: take_u16(input)?, suffix: take_bytes(input)?, value: take_value(input)? }
            }
            tag::UPDATE => Op::Update { slot: take_u16(input)?, value: take_value(input)? },
            tag::REMOVE => Op::Remove { slot: take_u16(input)? },
            tag::INSERT_CHILD => Op::InsertChild {
                slot: take_u16(input)?,
                suffix: take_bytes(input)?,
                child: PageId(take_u32(input)?),
            },
            tag::TRUNCATE => Op::Truncate { slots: take_u16(input)?, high: take_bytes(input)? },
            tag::IMAGE => Op::Image { bytes: take_bytes(input)? },
            tag::FREE => Op::Free,
            tag::SET_BITS => Op::SetBits { pages: take_bytes(input)? },
            tag::CLEAR_BITS => Op::ClearBits { pages: take_bytes(input)? },
            other => return Err(DecodeError::UnknownOp(other)),
        })
    }
}

fn put_slot(out: &mut Vec<u8>, tag: u8, slot: u16) {
    out.push(tag);
    out.extend_from_slice(&slot.to_le_bytes());
}

fn put_list(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_bytes(out, bytes);
}

/// A value: its length doubled, plus one where a page id follows instead of the bytes.
fn put_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Inline(bytes) => {
            put_varint(out, (bytes.len() as u64) << 1);
            out.extend_from_slice(bytes);
        }
        Value::Overflow { len, first } => {
            put_varint(out, u64::from(len) << 1 | 1);
            out.extend_from_slice(&first.0.to_le_bytes());
        }
    }
}

fn take_value<'a>(input: &mut &'a [u8]) -> Result<Value<'a>, DecodeError> {
    let stated = take_varint(input)?;
    let len = u32::try_from(stated >> 1).map_err(|_| DecodeError::Length)?;
    if stated & 1 == 1 {
        return Ok(Value::Overflow { len, first: PageId(take_u32(input)?) });
    }
    let len = usize::try_from(len).map_err(|_| DecodeError::Length)?;
    Ok(Value::Inline(take(input, len)?))
}
