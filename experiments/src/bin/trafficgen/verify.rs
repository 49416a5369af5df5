//! Holds a ledger against the nodes: every key is read, strongly, and must be as it was acknowledged last.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use experiments::error::{Error, Result};
use experiments::interrupt;
use experiments::traffic::Table;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::document;
use crate::generator::key_text;
use crate::ledger::{Allowed, Key, State};
use crate::setup::Nodes;

const EXAMPLES: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verification {
    /// Keys that are as they may be.
    pub(crate) keys: u64,
    /// Keys whose acknowledged put is not there.
    pub(crate) missing: u64,
    /// Keys with another document than an acknowledged or a possible one: a lost update.
    pub(crate) wrong: u64,
    /// Keys whose delete was acknowledged and that are there.
    pub(crate) returned: u64,
    /// The first few of these, in words.
    pub(crate) examples: Vec<String>,
}

impl Verification {
    /// Acknowledged writes that are not there.
    pub(crate) fn lost(&self) -> u64 {
        self.missing + self.wrong + self.returned
    }

    fn enter(&mut self, verdict: Verdict, key: impl FnOnce() -> String) {
        let (count, words) = match verdict {
            Verdict::Right => {
                self.keys += 1;
                return;
            }
            Verdict::Missing => (&mut self.missing, "is missing"),
            Verdict::Wrong => (&mut self.wrong, "has another document than the last acknowledged one"),
            Verdict::Returned => (&mut self.returned, "is there although its delete was acknowledged"),
        };
        *count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{} {words}", key()));
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Missing,
    Wrong,
    Returned,
}

struct Shared {
    nodes: Nodes,
    patience: Duration,
    keys: RefCell<std::vec::IntoIter<(Key, Allowed)>>,
    turn: Cell<usize>,
    found: RefCell<Verification>,
}

/// Reads every key of the ledger over `connections` connections, from the nodes in turn. Needs a `LocalSet`.
///
/// # Errors
///
/// Where a node does not answer within `patience`, or answers with neither 200 nor 404.
pub(crate) async fn verify(
    nodes: Nodes,
    ledger: HashMap<Key, Allowed>,
    connections: usize,
    patience: Duration,
) -> Result<Verification> {
    let mut keys: Vec<_> = ledger.into_iter().collect();
    keys.sort_unstable_by_key(|(key, _)| *key);
    let shared = Rc::new(Shared {
        nodes,
        patience,
        keys: RefCell::new(keys.into_iter()),
        turn: Cell::new(0),
        found: RefCell::default(),
    });
    let mut readers = JoinSet::new();
    (0..connections).for_each(|_| drop(readers.spawn_local(reader(Rc::clone(&shared)))));
    while let Some(ended) = readers.join_next().await {
        ended.map_err(|cause| Error::failed("a reader ended early", cause))??;
    }
    Ok(shared.found.take())
}

async fn reader(shared: Rc<Shared>) -> Result<()> {
    let node = shared.turn.replace(shared.turn.get() + 1) % shared.nodes.targets.len();
    let url = &shared.nodes.targets[node].url;
    let mut connection: Option<Connection> = None;
    let (mut request, mut body) = (Vec::new(), Vec::new());
    loop {
        interrupt::check()?;
        let Some(((table, index), allowed)) = shared.keys.borrow_mut().next() else { return Ok(()) };
        let table = Table::ALL[usize::from(table)];
        let key = key_text(table, index);
        let failed =
            |cause: String| Error::failed(format!("cannot read {}/{key} from {url}", table.name()), cause);
        shared.nodes.requests.get(node, table, key.as_bytes(), &mut request);
        body.clear();
        let exchange = async {
            let open = match &mut connection {
                Some(open) => open,
                none => none.insert(Connection::open(&shared.nodes.addresses[node]).await?),
            };
            open.exchange(&request, &mut |bytes| body.extend_from_slice(bytes)).await
        };
        let answer = match timeout(shared.patience, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => return Err(failed(fault.to_string())),
            Err(_elapsed) => return Err(failed("no answer in time".to_string())),
        };
        if !answer.keep {
            connection = None;
        }
        let verdict = match answer.status {
            200 => judge(table, index, &allowed, Some(&body)).map_err(failed)?,
            404 => judge(table, index, &allowed, None).map_err(failed)?,
            status => return Err(failed(format!("HTTP {status}"))),
        };
        shared.found.borrow_mut().enter(verdict, || format!("{}/{key}", table.name()));
    }
}

/// Compares as JSON, because a node may store a document in a form of its own.
fn judge(table: Table, index: u64, allowed: &Allowed, body: Option<&[u8]>) -> Result<Verdict, String> {
    #[derive(Deserialize)]
    struct Found {
        item: serde_json::Value,
    }
    let found = body.map(serde_json::from_slice::<Found>).transpose().map_err(|cause| cause.to_string())?;
    let mut expected = Vec::new();
    let mut matches = |state: State| match (&found, state) {
        (None, None) => true,
        (Some(found), Some((revision, bytes))) => {
            document::write(table, index, revision, bytes, &mut expected);
            serde_json::from_slice::<serde_json::Value>(&expected).is_ok_and(|value| value == found.item)
        }
        _ => false,
    };
    if allowed.states().any(&mut matches) {
        return Ok(Verdict::Right);
    }
    Ok(match (found, allowed.acknowledged) {
        (None, _) => Verdict::Missing,
        (Some(_), None) if allowed.possible.is_empty() => Verdict::Returned,
        _ => Verdict::Wrong,
    })
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    fn body(revision: u32) -> Vec<u8> {
        let mut document = Vec::new();
        document::write(Table::Users, 4, revision, 0, &mut document);
        [&br#"{"key":"user-1004","item":"#[..], &document, b"}"].concat()
    }

    fn judged(acknowledged: State, possible: &[u32], body: Option<&[u8]>) -> Verdict {
        let possible = possible.iter().map(|revision| Some((*revision, 0))).collect();
        judge(Table::Users, 4, &Allowed { acknowledged, possible }, body).unwrap()
    }

    #[test]
    fn lost_puts_lost_updates_and_returned_deletes_are_told_apart() {
        let put = Some((1, 0));
        assert_eq!(judged(put, &[], Some(&body(1))), Verdict::Right);
        assert_eq!(judged(put, &[], None), Verdict::Missing);
        assert_eq!(judged(put, &[], Some(&body(0))), Verdict::Wrong);
        assert_eq!(judged(None, &[], None), Verdict::Right);
        assert_eq!(judged(None, &[], Some(&body(1))), Verdict::Returned);
    }

    #[test]
    fn what_may_have_happened_may_be_there_or_not() {
        assert_eq!(judged(None, &[2], None), Verdict::Right);
        assert_eq!(judged(None, &[2], Some(&body(2))), Verdict::Right);
        assert_eq!(judged(Some((1, 0)), &[2], Some(&body(2))), Verdict::Right);
        assert_eq!(judged(Some((1, 0)), &[2], None), Verdict::Missing);
    }

    #[test]
    fn an_answer_that_is_no_item_is_an_error() {
        assert!(
            judge(Table::Users, 4, &Allowed { acknowledged: None, possible: Vec::new() }, Some(b"<html>"))
                .is_err()
        );
    }
}
