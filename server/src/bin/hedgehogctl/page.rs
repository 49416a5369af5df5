//! A page of a scan, read as a stream: at no time is more than one item in memory.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::client::{broken, misunderstood};
use crate::error::{Error, Result};

/// An item of a scan, as it was stored.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Item {
    /// Its key.
    pub(crate) key: String,
    /// The document.
    pub(crate) item: Box<RawValue>,
}

/// What a page said besides its items.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct PageEnd {
    /// How many items it had.
    pub(crate) items: u64,
    /// Where the next page begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// Reads `{"items":[{"key","item"}],"count":n,"cursor":"..."}` and gives each item to `sink` as it arrives.
///
/// # Errors
/// The sink's own, the connection's, or an answer of another shape.
pub(crate) fn read(
    reader: impl Read,
    call: &str,
    sink: &mut dyn FnMut(Item) -> Result<()>,
) -> Result<PageEnd> {
    let stopped = RefCell::new(None);
    let mut parser = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, reader));
    let page = PageSeed { sink, stopped: &stopped };
    let outcome = page.deserialize(&mut parser).and_then(|end| parser.end().map(|()| end));
    match (stopped.into_inner(), outcome) {
        (Some(error), _) => Err(error),
        (None, Ok(end)) => Ok(end),
        (None, Err(cause)) if cause.is_io() || cause.is_eof() => Err(broken(call, cause)),
        (None, Err(cause)) => Err(misunderstood(call, cause)),
    }
}

struct PageSeed<'a> {
    sink: &'a mut dyn FnMut(Item) -> Result<()>,
    /// The sink's error: the parser only carries its own.
    stopped: &'a RefCell<Option<Error>>,
}

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = PageEnd;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PageEnd, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = PageEnd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `items`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PageEnd, A::Error> {
        let mut end = PageEnd::default();
        let mut seen = false;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "items" => {
                    let items = ItemsSeed { sink: &mut *self.sink, stopped: self.stopped };
                    end.items += map.next_value_seed(items)?;
                    seen = true;
                }
                "cursor" => end.cursor = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if seen { Ok(end) } else { Err(A::Error::missing_field("items")) }
    }
}

struct ItemsSeed<'a> {
    sink: &'a mut dyn FnMut(Item) -> Result<()>,
    stopped: &'a RefCell<Option<Error>>,
}

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut items = 0;
        while let Some(item) = list.next_element::<Item>()? {
            items += 1;
            if let Err(error) = (self.sink)(item) {
                self.stopped.replace(Some(error));
                return Err(A::Error::custom("stopped by the reader of the items"));
            }
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn keys_of(text: &str) -> (Vec<String>, Result<PageEnd>) {
        let mut keys = Vec::new();
        let end = read(text.as_bytes(), "GET /items", &mut |item| {
            keys.push(format!("{}={}", item.key, item.item.get()));
            Ok(())
        });
        (keys, end)
    }

    #[test]
    fn items_come_out_as_they_were_stored() {
        let text =
            r#"{"cursor":"abc","items":[{"key":"a","item":{"n": 1.0e3}},{"item":{},"key":"b"}],"count":2}"#;
        let (keys, end) = keys_of(text);
        assert_eq!(keys, [r#"a={"n": 1.0e3}"#, "b={}"]);
        assert_eq!(end.unwrap(), PageEnd { items: 2, cursor: Some("abc".to_string()) });
    }

    #[test]
    fn a_page_that_is_cut_off_gives_what_came_and_an_error() {
        let (keys, end) = keys_of(r#"{"items":[{"key":"a","item":{}},{"key":"b","#);
        assert_eq!(keys, ["a={}"]);
        assert_eq!(end.unwrap_err().code(), Some(Code::Unreachable));
    }

    #[test]
    fn an_answer_of_another_shape_is_not_an_empty_page() {
        assert_eq!(keys_of(r#"{"status":"ok"}"#).1.unwrap_err().code(), Some(Code::Failed));
        assert_eq!(keys_of("<html>").1.unwrap_err().code(), Some(Code::Failed));
    }

    #[test]
    fn the_sink_stops_the_page_with_its_own_error() {
        let text = r#"{"items":[{"key":"a","item":{}},{"key":"b","item":{}}]}"#;
        let mut calls = 0;
        let end = read(text.as_bytes(), "GET /items", &mut |_| {
            calls += 1;
            Err(Error::ReaderGone)
        });
        assert!(matches!(end, Err(Error::ReaderGone)));
        assert_eq!(calls, 1);
    }
}
