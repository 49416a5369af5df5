//! The frame of a record.
//!
//! ```text
//! 0        4        8                 16                24
//! | crc u32 | len u32 | lsn u64        | synced u64      | payload, then zeros up to 8-byte alignment
//! ```
//!
//! - `crc` covers the rest of the header and the payload's own CRC, so that the payload is hashed before
//!   the append lock is taken and only 24 bytes under it.
//! - `len` is the payload's length; [`PAD`] alone marks the end of a segment that has room left.
//! - `lsn` is where the record begins. What a recycled segment still holds bears other positions and is
//!   never taken for a record.
//! - `synced` is how far the log was durable when the record was appended: whoever reads the record knows
//!   that everything before `synced` once was on the disk.
//!
//! Numbers are little-endian. A record never spans segments.

use crc32fast::hash;

/// The size of the frame's header in bytes.
pub(crate) const HEADER_BYTES: usize = 24;
const ALIGNMENT: usize = 8;
/// The `len` of a pad.
pub(crate) const PAD: u32 = 1 << 31;

/// A valid record in a segment's image.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) synced: u64,
    pub(crate) body: Body<'a>,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Body<'a> {
    Payload(&'a [u8]),
    /// The log goes on in the next segment.
    Pad,
}

/// The bytes that a record takes in the log.
pub(crate) const fn framed_len(payload_len: usize) -> usize {
    (HEADER_BYTES + payload_len).next_multiple_of(ALIGNMENT)
}

/// The checksum that [`push`] wants, to be computed before any lock is taken.
pub(crate) fn payload_crc(payload: &[u8]) -> u32 {
    hash(payload)
}

/// Appends a record that begins at `lsn`.
pub(crate) fn push(buffer: &mut Vec<u8>, lsn: u64, synced: u64, payload: &[u8], payload_crc: u32) {
    let end = buffer.len() + framed_len(payload.len());
    // The caller has checked the length against the segment's size, which is far below 2^31.
    buffer.extend_from_slice(&header(payload.len() as u32, lsn, synced, payload_crc));
    buffer.extend_from_slice(payload);
    buffer.resize(end, 0);
}

/// Appends a pad that begins at `lsn`.
pub(crate) fn push_pad(buffer: &mut Vec<u8>, lsn: u64, synced: u64) {
    buffer.extend_from_slice(&header(PAD, lsn, synced, payload_crc(&[])));
}

/// The record at `offset` of a segment's `image`, which begins at the position `lsn`; `None` where there is
/// none, or none that is whole.
pub(crate) fn parse(image: &[u8], offset: usize, lsn: u64) -> Option<Record<'_>> {
    let rest = image.get(offset..)?;
    let found = rest.first_chunk::<HEADER_BYTES>()?;
    // The position first: it is cheap and refuses nearly everything that is not a record.
    if u64_at(found, 8) != lsn {
        return None;
    }
    let (len, synced) = (u32_at(found, 4), u64_at(found, 16));
    let payload = match len {
        PAD => &[],
        len => rest[HEADER_BYTES..].get(..len as usize)?,
    };
    // Nobody knew, when the record was appended, of anything durable behind the place where it begins.
    let whole = *found == header(len, lsn, synced, payload_crc(payload)) || planted!("record-unchecked");
    if !whole || synced > lsn {
        return None;
    }
    // No checksum covers the alignment, but it can be nothing other than zeros.
    let alignment = rest.get(HEADER_BYTES + payload.len()..framed_len(payload.len()))?;
    if alignment.iter().any(|&byte| byte != 0) {
        return None;
    }
    let body = if len == PAD { Body::Pad } else { Body::Payload(payload) };
    Some(Record { synced, body })
}

fn header(len: u32, lsn: u64, synced: u64, payload_crc: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[4..8].copy_from_slice(&len.to_le_bytes());
    header[8..16].copy_from_slice(&lsn.to_le_bytes());
    header[16..24].copy_from_slice(&synced.to_le_bytes());
    let mut covered = [0; HEADER_BYTES];
    covered[..20].copy_from_slice(&header[4..]);
    covered[20..].copy_from_slice(&payload_crc.to_le_bytes());
    header[..4].copy_from_slice(&hash(&covered).to_le_bytes());
    header
}

fn u32_at(header: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn u64_at(header: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(header, at)) | u64::from(u32_at(header, at + 4)) << 32
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn one(payload: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        push(&mut buffer, 4096, 4000, payload, payload_crc(payload));
        buffer
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        for payload in [&b""[..], b"x", b"12345678", &[7; 1000]] {
            let buffer = one(payload);
            assert_eq!(buffer.len(), framed_len(payload.len()));
            let record = parse(&buffer, 0, 4096).unwrap();
            assert_eq!(record, Record { synced: 4000, body: Body::Payload(payload) });
        }
        let mut pad = Vec::new();
        push_pad(&mut pad, 4096, 4000);
        assert_eq!(parse(&pad, 0, 4096).unwrap().body, Body::Pad);
    }

    #[test]
    fn a_record_at_another_position_is_none() {
        assert_eq!(parse(&one(b"payload"), 0, 8192), None);
    }

    #[test]
    fn a_record_that_knows_more_than_it_could_is_none() {
        let mut buffer = Vec::new();
        push(&mut buffer, 4096, 4097, b"payload", payload_crc(b"payload"));
        assert_eq!(parse(&buffer, 0, 4096), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = one(b"a payload of some bytes!");
        for bit in 0..whole.len() * 8 {
            let mut buffer = whole.clone();
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&buffer, 0, 4096), None, "bit {bit}");
        }
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len], 0, 4096), None, "length {len}");
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(parse(&[0; 64], 0, 0), None);
    }
}
