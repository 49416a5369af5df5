//! JSON with an item a line for people, without a change to any value.
//!
//! The text is indented as it stands: parsing and printing again would turn `1.0e3` into `1000.0` and lose
//! digits of long numbers, and an item is to be seen as it was sent.

use crate::escape::printable;

const STEP: &str = "  ";

/// `json`, which has to be valid, indented by two spaces a level.
pub(crate) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut rest) = (0_usize, json);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '"' => {
                length = string_length(rest);
                out += &printable(&rest[..length]);
            }
            '{' | '[' => match closes_at_once(rest) {
                Some(closed) => {
                    length = closed;
                    out.extend([first, if first == '{' { '}' } else { ']' }]);
                }
                None => {
                    depth += 1;
                    out.push(first);
                    line(&mut out, depth);
                }
            },
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(first);
            }
            ',' => {
                out.push(first);
                line(&mut out, depth);
            }
            ':' => out += ": ",
            space if space.is_ascii_whitespace() => {}
            other => out.push(other),
        }
        rest = &rest[length..];
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(STEP, depth));
}

/// The bytes of the string at the beginning of `json`, both quotes included.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

/// The bytes up to and including the bracket that closes the first one, where nothing is between them.
fn closes_at_once(json: &str) -> Option<usize> {
    let inner = json[1..].trim_ascii_start();
    inner.starts_with(['}', ']']).then(|| json.len() - inner.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_indented_and_numbers_keep_their_digits() {
        let json = r#"{"a":1.0e3,"b":[1, 123456789012345678901234567890],"c":{ },"d":"x,\"{y}"}"#;
        let expected = "{\n  \"a\": 1.0e3,\n  \"b\": [\n    1,\n    123456789012345678901234567890\n  ],\n  \
                        \"c\": {},\n  \"d\": \"x,\\\"{y}\"\n}";
        assert_eq!(indented(json), expected);
    }

    #[test]
    fn text_that_is_cut_off_ends_where_it_ends() {
        assert_eq!(indented("{\"a"), "{\n  \"a");
        assert_eq!(indented("]"), "\n]");
        assert_eq!(indented("{"), "{\n  ");
    }
}
