//! Text that is safe where it goes: into a URL's path or query, or onto a terminal.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The dots too, for the two segments that would otherwise mean a folder.
const DOTS: &AsciiSet = &SEGMENT.add(b'.');

/// `text` as one segment of a URL's path, or as a value of its query.
pub(crate) fn segment(text: &str) -> String {
    let set = if matches!(text, "." | "..") { DOTS } else { SEGMENT };
    utf8_percent_encode(text, set).to_string()
}

/// `text` with its control characters written out, so that what is stored cannot command the terminal.
pub(crate) fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_string();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut safe, character| {
        match character.is_control() {
            true => safe.extend(character.escape_default()),
            false => safe.push(character),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_one_segment_whatever_is_in_it() {
        assert_eq!(segment("user-1000_a.b~c"), "user-1000_a.b~c");
        assert_eq!(segment("a/b?c#d%e f"), "a%2Fb%3Fc%23d%25e%20f");
        assert_eq!(segment("Zürich"), "Z%C3%BCrich");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("..."), "...");
    }

    #[test]
    fn stored_text_cannot_command_the_terminal() {
        assert_eq!(printable("plain ü"), "plain ü");
        assert_eq!(printable("\u{1b}[2J\u{9b}2J\n"), "\\u{1b}[2J\\u{9b}2J\\n");
    }
}
