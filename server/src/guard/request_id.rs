//! The name of a request: the client's own where it has given one, else one made here.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, there and back.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LEN: usize = 128;

/// Makes names: a prefix that differs from process to process, and a number.
#[derive(Debug)]
pub(super) struct RequestIds {
    prefix: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // The standard library seeds its hasher at random; that is random enough to tell processes apart.
        Self { prefix: RandomState::new().hash_one(0) as u32, next: AtomicU64::new(1) }
    }

    /// The name of a request with these headers. One that is empty, too long, or not visible ASCII is replaced: it
    /// would end up in logs.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(X_REQUEST_ID).filter(|value| {
            let bytes = value.as_bytes();
            (1..=MAX_LEN).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        });
        given.cloned().unwrap_or_else(|| self.make())
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:08x}-{number:x}", self.prefix);
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unnamed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &RequestIds, given: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
        ids.of(&headers).to_str().unwrap().to_string()
    }

    #[test]
    fn a_sound_name_is_kept_and_others_are_replaced() {
        let ids = RequestIds::new();
        let longest = "x".repeat(MAX_LEN);
        for kept in ["a", "3f0c-1", longest.as_str()] {
            assert_eq!(of(&ids, kept.as_bytes()), kept);
        }
        let too_long = "x".repeat(MAX_LEN + 1);
        for replaced in ["", "a b", "é", too_long.as_str()] {
            assert_ne!(of(&ids, replaced.as_bytes()), replaced);
        }
    }

    #[test]
    fn names_made_here_differ() {
        let ids = RequestIds::new();
        let names: std::collections::BTreeSet<_> =
            (0..100).map(|_| ids.of(&HeaderMap::new()).to_str().unwrap().to_string()).collect();
        assert_eq!(names.len(), 100);
    }
}
