//! `import`: the items of a file, many a request, in a way that can be taken up again where it stopped.

use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch::{self, Operation, Outcome, Verb};
use crate::cli::Consistency;
use crate::command::Session;
use crate::error::{Error, Result};
use crate::escape::printable;
use crate::ndjson::{self, Chunks};
use crate::progress;
use crate::units::thousands;

/// `import`.
pub(crate) fn run(
    session: &Session,
    table: &str,
    path: &Path,
    from_line: u64,
    consistency: Consistency,
) -> Result<()> {
    let (reader, size) = ndjson::open(path)?;
    let bar = progress::bar(size, format!("importing into {}", printable(table)));
    let mut chunks = Chunks::new(bar.wrap_read(reader), path, from_line, parse)?;
    let client = session.client()?;
    let (mut items, mut next) = (0, from_line);
    let outcome = loop {
        let chunk = match chunks.next() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        if let Err(error) = store(&client, table, &chunk.entries, consistency) {
            next = chunk.first;
            break Err(error);
        }
        items += chunk.entries.len();
        next = chunk.last + 1;
    };
    bar.finish_and_clear();
    outcome.map_err(|error| resumable(error, items, next))?;
    let answer = serde_json::json!({ "table": table, "items": items }).to_string();
    let sentence = || format!("imported {} items into {}", thousands(items as f64), printable(table));
    session.output.answer(&answer, sentence)
}

fn store(
    client: &crate::client::Client,
    table: &str,
    operations: &[Operation],
    consistency: Consistency,
) -> Result<()> {
    let outcomes = batch::send(client, table, operations, consistency)?;
    outcomes.iter().find_map(Outcome::refusal).map_or(Ok(()), Err)
}

/// Storing an item twice does no harm, so a request that may have been done is simply done again.
fn resumable(error: Error, items: usize, next: u64) -> Error {
    let items = thousands(items as f64);
    error.and(format!("{items} items are stored; when that is mended, go on with --from-line {next}"))
}

fn parse(line: &str) -> Result<(Operation, String), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        key: String,
        item: Box<RawValue>,
    }
    let Line { key, item } = serde_json::from_str(line)
        .map_err(|cause| format!("is no item ({cause}): write {{\"key\":\"k\",\"item\":{{}}}}"))?;
    if key.is_empty() {
        return Err("has an empty key".to_string());
    }
    if !item.get().starts_with('{') {
        return Err("has an item that is no JSON object".to_string());
    }
    Ok((Operation { verb: Verb::Put, key: key.clone(), item: Some(item) }, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_key_and_an_object_and_nothing_else() {
        let (operation, key) = parse(r#"{"key":"a","item":{"n": 1.0e3}}"#).unwrap();
        assert_eq!((operation.item.unwrap().get(), key.as_str()), (r#"{"n": 1.0e3}"#, "a"));
        for bad in [r#"{"key":"","item":{}}"#, r#"{"key":"a","item":[]}"#, r#"{"key":"a"}"#, "{\"key\"", "1"]
        {
            assert!(!parse(bad).unwrap_err().is_empty(), "{bad}");
        }
    }
}
