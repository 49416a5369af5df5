//! Conditional requests (RFC 9110, section 13): a client that has read an item changes it only if it is still what
//! was read.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::ApiError;

/// The entity tag of a value: a hash of its bytes, so that it survives restarts and is the same on every node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Etag(String);

impl Etag {
    /// The tag of a stored value.
    pub fn of(value: &[u8]) -> Self {
        Self(format!("\"{:032x}\"", xxh3_128(value)))
    }

    /// The tag as it stands in a header, in quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What must hold for a request to take effect.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: the key is not there.
    Absent,
    /// `If-Match: *`: the key is there.
    Present,
    /// `If-Match` with tags: the key is there with a value of one of them.
    Matches(Vec<Etag>),
    /// `If-None-Match` with tags: the key is not there, or with another value.
    Differs(Vec<Etag>),
}

impl Precondition {
    /// The precondition that the headers state.
    ///
    /// # Errors
    /// 400: both headers, or one that is no list of tags.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, ApiError> {
        match (list(headers, IF_MATCH), list(headers, IF_NONE_MATCH)) {
            (None, None) => Ok(Self::None),
            (Some(_), Some(_)) => {
                Err(ApiError::bad_request("If-Match and If-None-Match cannot both be given: send one"))
            }
            // By RFC 9110, section 13.1, a weak tag matches nothing here, and its tag there.
            (Some(tags), None) => Ok(parse(&tags)?.map_or(Self::Present, |tags| {
                Self::Matches(tags.into_iter().filter(|tag| !tag.weak).map(|tag| tag.opaque).collect())
            })),
            (None, Some(tags)) => Ok(parse(&tags)?.map_or(Self::Absent, |tags| {
                Self::Differs(tags.into_iter().map(|tag| tag.opaque).collect())
            })),
        }
    }

    /// Whether it holds for a key with that value.
    pub fn holds(&self, current: Option<&[u8]>) -> bool {
        let is_one_of = |tags: &[Etag]| current.is_some_and(|value| tags.contains(&Etag::of(value)));
        match self {
            Self::None => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::Matches(tags) => is_one_of(tags),
            Self::Differs(tags) => !is_one_of(tags),
        }
    }
}

/// The lines of a header as one list (RFC 9110, section 5.3): a tag on the second line counts as well.
fn list(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    // What is no text is no list of tags, and neither is what takes its place here.
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A tag of a list.
struct Tag {
    weak: bool,
    opaque: Etag,
}

/// A list of tags; `None` for `*`.
fn parse(header: &str) -> Result<Option<Vec<Tag>>, ApiError> {
    if header.trim() == "*" {
        return Ok(None);
    }
    let tag = |text: &str| {
        let text = text.trim();
        let (weak, opaque) = text.strip_prefix("W/").map_or((false, text), |opaque| (true, opaque));
        let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.filter(|inner| !inner.contains('"')).map(|_| Tag { weak, opaque: Etag(opaque.to_string()) })
    };
    let tags: Option<Vec<_>> = header.split(',').map(tag).collect();
    tags.map(Some).ok_or_else(|| {
        ApiError::bad_request("a precondition is * or a list of entity tags in quotes, as \"0f3c...\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn of(name: &'static str, value: &str) -> Precondition {
        Precondition::from_headers(&headers(&[(name, value)])).unwrap()
    }

    #[test]
    fn a_tag_holds_for_its_value_only() {
        let tag = Etag::of(b"{}");
        let matches = of("if-match", tag.as_str());
        assert!(matches.holds(Some(b"{}")) && !matches.holds(Some(b"{\"a\":1}")) && !matches.holds(None));
        let differs = of("if-none-match", &format!("\"other\", W/{}", tag.as_str()));
        assert!(!differs.holds(Some(b"{}")) && differs.holds(Some(b"[]")) && differs.holds(None));
    }

    #[test]
    fn a_weak_tag_is_no_ground_to_change_something() {
        assert!(!of("if-match", &format!("W/{}", Etag::of(b"{}").as_str())).holds(Some(b"{}")));
    }

    #[test]
    fn stars_ask_for_presence_or_absence() {
        assert!(of("if-match", "*").holds(Some(b"{}")) && !of("if-match", "*").holds(None));
        assert!(!of("if-none-match", " * ").holds(Some(b"{}")) && of("if-none-match", "*").holds(None));
        assert!(Precondition::from_headers(&headers(&[])).unwrap().holds(None));
    }

    #[test]
    fn tags_on_several_lines_are_one_list() {
        let mut lines = HeaderMap::new();
        for tag in ["\"other\"", Etag::of(b"{}").as_str()] {
            lines.append("if-none-match", tag.parse().unwrap());
        }
        assert!(!Precondition::from_headers(&lines).unwrap().holds(Some(b"{}")));
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for bad in ["", "abc", "\"a", "\"a\"b\"", "\"a\",", "*, \"a\""] {
            let refused = Precondition::from_headers(&headers(&[("if-match", bad)]));
            assert_eq!(refused.unwrap_err().status, 400, "{bad}");
        }
        let both = headers(&[("if-match", "*"), ("if-none-match", "*")]);
        assert_eq!(Precondition::from_headers(&both).unwrap_err().status, 400);
    }
}
