//! `GET /api/v1/tables/{table}/items`: a range of a table, streamed in bounded memory.
//!
//! The answer is `{"items":[...],"count":n}` and, where a limit has cut it short, a cursor: the last key that was
//! given, in hexadecimal digits, and so good for any node and any time. An error in the middle cuts the connection
//! off, so that no client takes a part for the whole.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;

use super::items::write_item;
use super::request::{Parameters, TableOf};
use crate::app::App;
use crate::engine::{Chunk, Chunks, Consistency, KeyRange};
use crate::error::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    #[serde(default)]
    prefix: String,
    start: Option<String>,
    end: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    #[serde(default)]
    reverse: bool,
    /// Scans return what is durable, whatever is asked for.
    #[serde(default, rename = "consistency")]
    _consistency: Consistency,
}

pub(super) async fn scan(
    State(app): State<App>,
    TableOf(table): TableOf,
    Parameters(range): Parameters<Range>,
) -> Result<Response, ApiError> {
    if range.limit == Some(0) {
        return Err(ApiError::bad_request("limit is 0: ask for at least one item, or leave it out for all"));
    }
    let bytes = |bound: &Option<String>| bound.as_ref().map(|bound| bound.as_bytes().to_vec());
    let (start, end) = (bytes(&range.start), bytes(&range.end));
    let mut keys = KeyRange::new(range.prefix.as_bytes(), start.as_deref(), end.as_deref());
    if let Some(cursor) = &range.cursor {
        keys = keys.behind(decode(cursor)?, range.reverse);
    }
    let mut chunks = Chunks::new(&table, keys, range.reverse, range.limit.unwrap_or(usize::MAX));
    // What goes wrong before the first item is an answer of its own.
    let first = chunks.next().await?;
    let mut written = Written::default();
    let head = written.chunk(&first, chunks.left());
    let body = if written.ended {
        Body::from(head)
    } else {
        let permit = app.streams.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ApiError::busy("too many scans are under way"))?;
        let state = (Some(head), chunks, written, permit);
        Body::from_stream(stream::try_unfold(state, |(head, mut chunks, mut written, permit)| async move {
            if let Some(head) = head {
                return Ok(Some((head, (None, chunks, written, permit))));
            }
            if written.ended {
                return Ok::<_, Broken>(None);
            }
            let chunk = chunks.next().await.map_err(|error| Broken(error.message.into_owned()))?;
            let bytes = written.chunk(&chunk, chunks.left());
            Ok(Some((bytes, (None, chunks, written, permit))))
        }))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A scan that cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the scan broke off: {0}")]
struct Broken(String);

/// How far the answer is written.
#[derive(Default)]
struct Written {
    items: usize,
    ended: bool,
}

impl Written {
    /// The part of the answer that a chunk makes; the last one ends it.
    fn chunk(&mut self, chunk: &Chunk, left: usize) -> Bytes {
        let size: usize = chunk.items.iter().map(|(key, value)| key.len() + value.len() + 24).sum();
        let mut body = Vec::with_capacity(size + 64);
        if self.items == 0 {
            body.extend_from_slice(b"{\"items\":[");
        }
        for (key, item) in &chunk.items {
            if self.items > 0 {
                body.push(b',');
            }
            self.items += 1;
            write_item(&mut body, &String::from_utf8_lossy(key), item);
        }
        self.ended = chunk.is_last || left == 0;
        if self.ended {
            body.extend_from_slice(format!("],\"count\":{}", self.items).as_bytes());
            if let (false, Some((key, _))) = (chunk.is_last, chunk.items.last()) {
                body.extend_from_slice(format!(",\"cursor\":\"{}\"", encode(key)).as_bytes());
            }
            body.push(b'}');
        }
        Bytes::from(body)
    }
}

fn encode(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(cursor: &str) -> Result<Vec<u8>, ApiError> {
    let digits = cursor.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_hex = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let key: Option<Vec<u8>> = if is_hex { digits.chunks(2).map(byte).collect() } else { None };
    key.filter(|key| !key.is_empty())
        .ok_or_else(|| ApiError::bad_request("the cursor is not one that a scan has returned"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_its_key() {
        for key in [&b"user-1"[..], b"\x00\xff", "ü".as_bytes()] {
            assert_eq!(decode(&encode(key)).unwrap(), key);
        }
        for bad in ["", "0", "0g", "+1", "user-1"] {
            assert_eq!(decode(bad).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn only_a_cut_answer_has_a_cursor() {
        let item = |key: &str| (key.as_bytes().to_vec(), b"{}".to_vec());
        let whole = Chunk { items: vec![item("a"), item("b")], is_last: true };
        let text = Written::default().chunk(&whole, 5);
        assert_eq!(text, "{\"items\":[{\"key\":\"a\",\"item\":{}},{\"key\":\"b\",\"item\":{}}],\"count\":2}");
        let cut = Chunk { items: vec![item("a")], is_last: false };
        let text = Written::default().chunk(&cut, 0);
        assert_eq!(text, "{\"items\":[{\"key\":\"a\",\"item\":{}}],\"count\":1,\"cursor\":\"61\"}");
        let none = Written::default().chunk(&Chunk { items: vec![], is_last: true }, 1);
        assert_eq!(none, "{\"items\":[],\"count\":0}");
    }
}
