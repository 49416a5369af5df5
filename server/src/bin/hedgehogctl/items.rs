//! Single items: get, put, delete.

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::{Address, Condition, Consistency};
use crate::command::Session;
use crate::error::{Error, Result};
use crate::escape::printable;
use crate::pretty;
use crate::request::{Request, item_path};

/// What `put` has beside the item's address.
pub(crate) struct Put {
    /// The document, `@FILE`, or `-`.
    pub(crate) value: String,
    /// When it is answered.
    pub(crate) consistency: Consistency,
    /// What must hold.
    pub(crate) condition: Condition,
    /// Check only.
    pub(crate) dry_run: bool,
}

/// `get`.
pub(crate) fn get(session: &Session, item: &Address, consistency: Consistency) -> Result<()> {
    /// The node's answer and the ETag, which it gives as a header.
    #[derive(Deserialize, Serialize)]
    struct Found {
        key: String,
        item: Box<RawValue>,
        #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
        etag: Option<String>,
    }
    let request = Request::get(item_path(&item.table, &item.key)).consistency(consistency);
    let answer = session.client()?.send(request)?;
    let etag = answer.etag();
    let found = Found { etag, ..answer.parse()? };
    if session.output.json {
        return session.output.document(&found);
    }
    session.output.line(pretty::indented(found.item.get()))
}

/// `put`.
pub(crate) fn put(session: &Session, item: &Address, put: Put) -> Result<()> {
    let document = document(&put.value)?;
    let request = Request::put(item_path(&item.table, &item.key), document).consistency(put.consistency);
    let request = conditional(request, put.condition);
    let request = request.query_if("dry_run", put.dry_run.then_some("true"));
    let done = if put.dry_run { "would store" } else { "stored" };
    written(session, request, item, done)
}

/// `delete`.
pub(crate) fn delete(
    session: &Session,
    item: &Address,
    consistency: Consistency,
    condition: Condition,
) -> Result<()> {
    let request = Request::delete(item_path(&item.table, &item.key)).consistency(consistency);
    written(session, conditional(request, condition), item, "deleted")
}

/// Sends a write and says what became of it. For programs, the ETag joins the node's document.
fn written(session: &Session, request: Request, item: &Address, done: &str) -> Result<()> {
    let answer = session.client()?.send(request)?;
    let etag = answer.etag();
    if session.output.json {
        let mut document: serde_json::Map<String, serde_json::Value> = answer.parse()?;
        document.extend(etag.map(|etag| ("etag".to_string(), etag.into())));
        return session.output.document(&document);
    }
    answer.text()?;
    let etag = etag.map_or_else(String::new, |etag| format!(", ETag {}", printable(&etag)));
    session.output.line(format!("{done} {}/{}{etag}", printable(&item.table), printable(&item.key)))
}

fn conditional(request: Request, condition: Condition) -> Request {
    let request = request.header_if("If-Match", condition.if_match.map(quoted));
    request.header_if("If-None-Match", condition.if_none_match.map(quoted))
}

/// An ETag in its quotes, which shells like to take away.
fn quoted(etag: String) -> String {
    let bare = etag != "*" && !etag.contains('"');
    if bare { format!("\"{etag}\"") } else { etag }
}

/// The bytes of the item. They are sent as they are: the node checks them, and stores what it was given.
fn document(value: &str) -> Result<Vec<u8>> {
    match (value, value.strip_prefix('@')) {
        ("-", _) => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|cause| Error::usage(format!("cannot read the item from stdin: {cause}")))?;
            Ok(bytes)
        }
        (_, Some(path)) => std::fs::read(path)
            .map_err(|cause| Error::usage(format!("cannot read the item in {path}: {cause}"))),
        (json, None) => Ok(json.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_gets_its_quotes_back() {
        let etags = ["abc", "\"abc\"", "W/\"abc\"", "*"].map(|etag| quoted(etag.to_string()));
        assert_eq!(etags, ["\"abc\"", "\"abc\"", "W/\"abc\"", "*"]);
    }
}
