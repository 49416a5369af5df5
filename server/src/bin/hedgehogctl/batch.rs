//! `batch`: the operations of a file, many a request.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::Consistency;
use crate::client::Client;
use crate::command::Session;
use crate::error::{Code, Error, Result};
use crate::escape::printable;
use crate::ndjson::{self, Chunk, Chunks};
use crate::output;
use crate::request::{Payload, Request, table_path};

/// What an operation does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// Stores its item.
    Put,
    /// Reads an item.
    Get,
    /// Deletes an item.
    Delete,
}

/// An operation of a batch.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// What it does.
    #[serde(rename = "op")]
    pub(crate) verb: Verb,
    /// The item's key.
    pub(crate) key: String,
    /// The document of a put, as it is written in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<Box<RawValue>>,
}

/// What became of an operation.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// The item's key.
    pub(crate) key: String,
    /// The status that a request of its own would have had.
    pub(crate) status: u16,
    /// What a get found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<Box<RawValue>>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Outcome {
    /// The error of an operation that was refused.
    pub(crate) fn refusal(&self) -> Option<Error> {
        if self.status < 300 {
            return None;
        }
        let why = self.error.as_deref().unwrap_or(match self.status {
            404 => "there is no such item",
            _ => "refused",
        });
        let text = format!("{}: {} (status {})", printable(&self.key), printable(why), self.status);
        Some(Error::new(Code::of_status(self.status), text))
    }
}

/// Does operations in one request. A busy node is asked again for some seconds: repeating whole documents and
/// deletions changes nothing.
///
/// # Errors
/// The request as a whole was refused, or not answered operation by operation.
pub(crate) fn send(
    client: &Client,
    table: &str,
    operations: &[Operation],
    consistency: Consistency,
) -> Result<Vec<Outcome>> {
    #[derive(Serialize)]
    struct Body<'a> {
        operations: &'a [Operation],
    }
    #[derive(Deserialize)]
    struct Results {
        results: Vec<Outcome>,
    }
    let body = output::to_json(&Body { operations })?.into_bytes();
    let path = table_path(table, "/batch");
    let request = || Request::post(path.clone(), Payload::Json(body.clone())).consistency(consistency);
    let Results { results } = client.send_until_admitted(request)?.parse()?;
    if results.len() != operations.len() {
        let (asked, got) = (operations.len(), results.len());
        return Err(Error::failed(path, format!("{asked} operations were sent, {got} are answered")));
    }
    Ok(results)
}

/// `batch`.
pub(crate) fn run(session: &Session, table: &str, path: &Path, consistency: Consistency) -> Result<()> {
    let (reader, _) = ndjson::open(path)?;
    let mut chunks = Chunks::new(reader, path, 1, parse)?;
    let client = session.client()?;
    let mut outcomes = Vec::new();
    loop {
        let done = |error: Error| error.and(format!("the {} operations before are done", outcomes.len()));
        let Some(chunk) = chunks.next().map_err(done)? else { break };
        let sent = send(&client, table, &chunk.entries, consistency);
        outcomes.extend(sent.map_err(|error| located(error, &chunk, outcomes.len()))?);
    }
    show(session, &outcomes)?;
    let mut refused = outcomes.iter().filter_map(Outcome::refusal);
    match (refused.next(), refused.count()) {
        (None, _) => Ok(()),
        (Some(first), 0) => Err(first),
        (Some(first), more) => Err(first.and(format!("{more} more operations did not succeed"))),
    }
}

fn located(error: Error, chunk: &Chunk<Operation>, before: usize) -> Error {
    let Chunk { first, last, .. } = chunk;
    error.and(format!("the {before} operations before line {first} are done, lines {first} to {last} may be"))
}

fn show(session: &Session, outcomes: &[Outcome]) -> Result<()> {
    #[derive(Serialize)]
    struct Results<'a> {
        results: &'a [Outcome],
    }
    if session.output.json {
        return session.output.document(&Results { results: outcomes });
    }
    let mut grid = session.output.folding_grid(&["key", "status", "item"]);
    for Outcome { key, status, item, error } in outcomes {
        let item = item.as_ref().map(|item| item.get()).or(error.as_deref()).unwrap_or("");
        grid.add_row([printable(key), status.to_string(), printable(item)]);
    }
    session.output.table(&grid)
}

fn parse(line: &str) -> Result<(Operation, String), String> {
    let operation: Operation = serde_json::from_str(line).map_err(|cause| {
        format!("is no operation ({cause}): write {{\"op\":\"put\",\"key\":\"k\",\"item\":{{}}}}, or get, or delete")
    })?;
    match (operation.verb, &operation.item) {
        (Verb::Put, None) => {
            Err("puts no item: write {\"op\":\"put\",\"key\":\"k\",\"item\":{}}".to_string())
        }
        (Verb::Get | Verb::Delete, Some(_)) => {
            Err("has an item that nothing is done with: leave it out".to_string())
        }
        _ => {
            let key = operation.key.clone();
            Ok((operation, key))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_sent_as_they_are_written() {
        for line in [r#"{"op":"put","key":"k","item":{"n": 1.0e3}}"#, r#"{"op":"get","key":"k"}"#] {
            assert_eq!(output::to_json(&parse(line).unwrap().0).unwrap(), line);
        }
    }

    #[test]
    fn a_line_that_is_no_operation_says_what_one_is() {
        for bad in ["{}", "[]", r#"{"op":"put","key":"k"}"#, r#"{"op":"get","key":"k","item":{}}"#, "{"] {
            assert!(!parse(bad).unwrap_err().is_empty(), "{bad}");
        }
    }
}
