//! Items are JSON objects. They are stored without the white space between their tokens, and otherwise byte for byte
//! as they were sent: the order of members, the digits of numbers and the escapes of strings come back unchanged.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::error::ApiError;

/// How deep objects and arrays may be nested. Deeper ones break the parsers of clients.
pub const MAX_DEPTH: usize = 128;

/// The document in `body` as it is stored.
///
/// # Errors
/// 400: it is no JSON object, or is nested deeper than [`MAX_DEPTH`], or a string in it holds half of a surrogate
/// pair.
pub fn compact(body: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
    let value: &RawValue = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is no JSON: {error}")))?;
    compact_value(value)
}

/// As [`compact`], for a value that has been parsed as a part of something else.
///
/// # Errors
/// As for [`compact`].
pub fn compact_value(value: &RawValue) -> Result<Cow<'_, [u8]>, ApiError> {
    let text = value.get().as_bytes();
    if text.first() != Some(&b'{') {
        return Err(ApiError::bad_request("an item is a JSON object, as {\"name\": \"User 1\"}"));
    }
    let mut scan = Scan { text, at: 0, depth: 0, spaces: 0 };
    scan.run()?;
    if scan.spaces == 0 {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(without_spaces(text, text.len() - scan.spaces)))
}

/// One pass over a text that is known to be JSON.
struct Scan<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    /// White space between tokens, in bytes.
    spaces: usize,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), ApiError> {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        let message =
                            format!("the item is nested deeper than {MAX_DEPTH} levels: flatten it");
                        return Err(ApiError::bad_request(message));
                    }
                }
                b'}' | b']' => self.depth -= 1,
                b' ' | b'\t' | b'\n' | b'\r' => self.spaces += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes behind the closing quote.
    fn string(&mut self) -> Result<(), ApiError> {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' if self.text.get(self.at) == Some(&b'u') => self.escape()?,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes behind `\uXXXX`, or behind both halves of a surrogate pair. Half a pair is no character, and strict
    /// parsers choke on it.
    fn escape(&mut self) -> Result<(), ApiError> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let start = self.at - 1;
        let is_whole = match (unit(start), unit(start + 6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => {
                self.at = start + 12;
                return Ok(());
            }
            (Some(0xD800..0xE000) | None, _) => false,
            _ => true,
        };
        self.at = start + 6;
        match is_whole {
            true => Ok(()),
            false => Err(ApiError::bad_request(
                "a string of the item holds half of a surrogate pair (\\ud800 to \\udfff without its other half)",
            )),
        }
    }
}

fn without_spaces(text: &[u8], len: usize) -> Vec<u8> {
    let mut compact = Vec::with_capacity(len);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(body: &str) -> String {
        String::from_utf8(compact(body.as_bytes()).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn only_white_space_between_tokens_goes() {
        let sent =
            "{ \"b\" : 1.50 ,\n\t\"a b\" : [ \"x \\\" y\" , 12345678901234567890 ] , \"e\\u0041\" : 1E5 }";
        assert_eq!(text(sent), "{\"b\":1.50,\"a b\":[\"x \\\" y\",12345678901234567890],\"e\\u0041\":1E5}");
        assert!(matches!(compact(b"{\"a\":1}"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in
            ["", "[]", "1", "null", "\"x\"", "{", "{\"a\":}", "{} {}", "{\"a\":01}", "{\"a\":\"\u{1}\"}"]
        {
            assert_eq!(compact(body.as_bytes()).unwrap_err().status, 400, "{body}");
        }
        assert_eq!(compact(b"{\"a\":\"\xff\"}").unwrap_err().status, 400);
    }

    #[test]
    fn deep_documents_are_refused_without_recursion() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        assert!(compact(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(compact(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().status, 400);
        assert_eq!(compact(nested(100_000).as_bytes()).unwrap_err().status, 400);
    }

    #[test]
    fn half_a_surrogate_pair_is_refused() {
        assert!(compact(b"{\"a\":\"\\ud83e\\udd94\"}").is_ok());
        for half in ["\\ud83e", "\\udd94", "\\ud83e\\u0041", "\\ud83ex", "\\udd94\\ud83e"] {
            assert_eq!(
                compact(format!("{{\"a\":\"{half}\"}}").as_bytes()).unwrap_err().status,
                400,
                "{half}"
            );
        }
        assert!(compact(b"{\"a\":\"\\\\ud83e\"}").is_ok(), "an escaped backslash begins no escape");
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn compact_is_what_the_library_prints_compactly(value in json()) {
            let object = serde_json::json!({ "a": value });
            let sent = serde_json::to_vec_pretty(&object).unwrap();
            prop_assert_eq!(compact(&sent).unwrap().into_owned(), serde_json::to_vec(&object).unwrap());
        }

        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = compact(&bytes);
        }
    }
}
