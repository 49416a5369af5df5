//! HTTP/1.1 answers as bytes: where the head ends, and how long the body is. Nothing here reads or waits.
//!
//! The framing follows RFC 9112, sections 6 and 7. Heads are parsed by `httparse`.

/// Bytes of a head at most.
pub(crate) const HEAD_LIMIT: usize = 64 << 10;
const HEADERS: usize = 64;
/// Bytes of a chunk's size line or of a trailer's line at most.
const LINE_LIMIT: usize = 4 << 10;

/// Why bytes are no answer.
pub(crate) type Malformed = &'static str;

/// How a body ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With a chunk of length 0.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// An answer's head.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// How the body ends.
    pub(crate) framing: Framing,
    /// Whether the connection stays open afterwards.
    pub(crate) keep: bool,
    /// The head's length, from the status line to the empty line.
    pub(crate) bytes: usize,
}

/// The head at the beginning of `buffer`; `None` where it is not there as a whole.
pub(crate) fn head(buffer: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(buffer) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) if buffer.len() >= HEAD_LIMIT => return Err("a head of over 64 KiB"),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("the answer is not HTTP/1.1"),
    };
    let status = response.code.unwrap_or(0);
    let mut keep = response.version == Some(1);
    let (mut length, mut chunked) = (None, false);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = Some(parse_length(header.value).ok_or("a content-length that is no number")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = contains_token(header.value, b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            keep = (keep || contains_token(header.value, b"keep-alive"))
                && !contains_token(header.value, b"close");
        }
    }
    let framing = match (status, chunked, length) {
        (100..=199 | 204 | 304, ..) => Framing::Length(0),
        (_, true, _) => Framing::Chunked,
        (_, _, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    Ok(Some(Head { status, framing, keep: keep && framing != Framing::UntilClose, bytes }))
}

fn parse_length(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|c| c.is_ascii_digit()))?.parse().ok()
}

fn contains_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

/// Takes chunked bodies apart, in pieces of any length.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

impl Chunks {
    /// Whether the last chunk and the trailer are past.
    pub(crate) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Hands the data in `input` to `sink` and returns how many bytes are used up; the others have to come again,
    /// with more behind them.
    pub(crate) fn feed(&mut self, input: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut used = 0;
        while !self.done() {
            let rest = &input[used..];
            let step = match &mut self.state {
                State::Size => self.size(rest)?,
                State::Data(left) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    sink(&rest[..length]);
                    *left -= length as u64;
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    length
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.state = State::Size;
                        2
                    }
                    [] | [b'\r'] => 0,
                    _ => return Err("a chunk longer than its size"),
                },
                State::Trailer => self.trailer(rest)?,
                State::Done => 0,
            };
            if step == 0 {
                break;
            }
            used += step;
        }
        Ok(used)
    }

    fn size(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((bytes, size))) => {
                self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                Ok(bytes)
            }
            Ok(httparse::Status::Partial) if rest.len() < LINE_LIMIT => Ok(0),
            _ => Err("a chunk without a size"),
        }
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<usize, Malformed> {
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                if rest[..end].trim_ascii_end().is_empty() {
                    self.state = State::Done;
                }
                Ok(end + 1)
            }
            None if rest.len() < LINE_LIMIT => Ok(0),
            None => Err("a trailer without an end"),
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn framing(headers: &str) -> (Framing, bool) {
        let head = head(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes()).unwrap().unwrap();
        (head.framing, head.keep)
    }

    /// Feeds `body` in pieces of `piece` bytes, and returns the data and what is left over.
    fn decoded(body: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let (mut chunks, mut data, mut waiting) = (Chunks::default(), Vec::new(), Vec::new());
        for part in body.chunks(piece) {
            waiting.extend_from_slice(part);
            let used = chunks.feed(&waiting, &mut |bytes| data.extend_from_slice(bytes))?;
            waiting.drain(..used);
        }
        assert!(chunks.done(), "the body's end is seen");
        Ok((data, waiting.len()))
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        assert_eq!(framing("Content-Length: 12\r\n"), (Framing::Length(12), true));
        assert_eq!(framing("transfer-encoding: Chunked\r\n"), (Framing::Chunked, true));
        assert_eq!(framing("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").0, Framing::Chunked);
        assert_eq!(framing("Server: x\r\n"), (Framing::UntilClose, false));
        assert_eq!(framing("Content-Length: 0\r\nConnection: Close\r\n"), (Framing::Length(0), false));
        let empty = head(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").unwrap().unwrap();
        assert_eq!((empty.status, empty.framing), (304, Framing::Length(0)));
        let old = head(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").unwrap().unwrap();
        assert!(!old.keep, "HTTP/1.0 closes unless told otherwise");
    }

    #[test]
    fn half_a_head_waits_and_garbage_is_refused() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(None));
        assert!(head(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
        assert!(head(&[b"HTTP/1.1 200 OK\r\nA: ", &[b'a'; HEAD_LIMIT][..]].concat()).is_err());
    }

    #[test]
    fn chunks_come_out_the_same_however_they_arrive() {
        let body = b"5;name=value\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\nNEXT";
        for piece in 1..=body.len() {
            assert_eq!(decoded(body, piece), Ok((b"hello world".to_vec(), 4)), "in pieces of {piece}");
        }
    }

    #[test]
    fn chunks_that_lie_are_refused() {
        assert!(decoded(b"3\r\nhello\r\n0\r\n\r\n", 64).is_err());
        assert!(decoded(b"x\r\n", 64).is_err());
        assert!(decoded(&[b'0'; 8 << 10], 512).is_err());
    }
}
