//! Integers and byte strings as the log holds them.
//!
//! Lengths are varints (LEB128: seven bits a byte, low ones first), as nearly all of them are below 128.

use super::DecodeError;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn take<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = input.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(taken)
}

pub(super) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
    *input = rest;
    Ok(*taken)
}

pub(super) fn take_u8(input: &mut &[u8]) -> Result<u8, DecodeError> {
    take_array::<1>(input).map(|[byte]| byte)
}

pub(super) fn take_u16(input: &mut &[u8]) -> Result<u16, DecodeError> {
    take_array(input).map(u16::from_le_bytes)
}

pub(super) fn take_u32(input: &mut &[u8]) -> Result<u32, DecodeError> {
    take_array(input).map(u32::from_le_bytes)
}

/// A varint of at most five bytes: more than any length here needs.
pub(super) fn take_varint(input: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = take_u8(input)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::Length)
}

pub(super) fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(take_varint(input)?).map_err(|_| DecodeError::Length)?;
    take(input, len)
}
