//! Before the first request that counts: which nodes there are, their tables, and the keys that are there already.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use experiments::error::{Error, Result};
use experiments::traffic::Table;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::keys::KeySpace;
use crate::request::Requests;
use crate::target::Target;

/// For one call; a scan of a whole table from a node that knows no limit is the longest.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
const PAGE: usize = 10_000;
/// The status of a node that is alive, in the cluster's own numbers.
const ALIVE: u8 = 0;

/// The nodes that answer, and how requests to them look.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// In the order of `-urls`.
    pub(crate) targets: Vec<Target>,
    /// Their addresses.
    pub(crate) addresses: Vec<Vec<SocketAddr>>,
    /// Their requests, in the same order.
    pub(crate) requests: Requests,
}

/// How to reach the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Header lines of the user's own, each with its line end.
    pub(crate) headers: String,
    /// Query of all requests to items.
    pub(crate) query: String,
    /// More of it for puts.
    pub(crate) put_suffix: String,
}

impl Nodes {
    /// The nodes at `targets`, or where `discover` is set and there is one alone, all nodes that it knows of. Nodes
    /// that cannot be reached are left out with a note.
    ///
    /// # Errors
    ///
    /// Where none can be reached.
    pub(crate) async fn find(targets: Vec<Target>, access: &Access, discover: bool) -> Result<Nodes> {
        let nodes = Nodes::reach(targets, access).await?;
        if !discover || nodes.targets.len() > 1 {
            return Ok(nodes);
        }
        let others = nodes.others().await;
        if others.is_empty() {
            return Ok(nodes);
        }
        let all: Vec<Target> = nodes.targets.into_iter().chain(others).collect();
        Nodes::reach(all, access).await
    }

    async fn reach(targets: Vec<Target>, access: &Access) -> Result<Nodes> {
        let (mut reached, mut addresses, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            match probe(&target).await {
                Ok(found) => {
                    reached.push(target);
                    addresses.push(found);
                }
                Err(error) => failures.push(error.one_line()),
            }
        }
        if reached.is_empty() {
            let why = failures.join("; ");
            return Err(Error::failed("no node can be reached", format!("{why}; start one, or see -url")));
        }
        failures.iter().for_each(|failure| eprintln!("note: {failure}; going on without it"));
        let requests = Requests::new(&reached, &access.headers, &access.query, &access.put_suffix);
        Ok(Nodes { targets: reached, addresses, requests })
    }

    /// The nodes that the only one knows of besides itself. A node that does not know is alone.
    async fn others(&self) -> Vec<Target> {
        #[derive(Deserialize)]
        struct Status {
            node_id: String,
            nodes: Vec<Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            id: String,
            addr: String,
            status: u8,
        }
        let Ok((200, body)) = self.call(0, "GET", "/api/v1/cluster/status", None).await else {
            return Vec::new();
        };
        let Ok(status) = serde_json::from_slice::<Status>(&body) else { return Vec::new() };
        let others = status.nodes.iter().filter(|node| node.id != status.node_id && node.status == ALIVE);
        others.filter_map(|node| format!("http://{}", node.addr).parse().ok()).collect()
    }

    /// Creates the traffic's tables on every node; one that is there is as good.
    ///
    /// # Errors
    ///
    /// Where a node refuses.
    pub(crate) async fn create_tables(&self) -> Result<()> {
        for node in 0..self.targets.len() {
            for table in Table::ALL {
                let body = format!("{{\"name\":\"{}\"}}", table.name());
                let (status, answer) = self.call(node, "POST", "/api/v1/tables", Some(&body)).await?;
                if !matches!(status, 201 | 409) {
                    let what = format!("{} does not create table {}", self.targets[node].url, table.name());
                    return Err(Error::failed(what, refusal(status, &answer)));
                }
            }
        }
        Ok(())
    }

    /// Enters the traffic's keys that are there, page by page. A node that knows no limit sends a table as a whole.
    ///
    /// # Errors
    ///
    /// Where the first node does not answer as expected.
    pub(crate) async fn find_keys(&self, keys: &mut KeySpace) -> Result<()> {
        for table in Table::ALL {
            let what = || format!("{} does not list table {}", self.targets[0].url, table.name());
            let mut cursor: Option<String> = None;
            loop {
                let from = cursor.as_deref().map_or_else(String::new, |cursor| {
                    format!("&cursor={}", utf8_percent_encode(cursor, NON_ALPHANUMERIC))
                });
                let path = format!("/api/v1/tables/{}/items?limit={PAGE}{from}", table.name());
                let (status, body) = self.call(0, "GET", &path, None).await?;
                if status != 200 {
                    return Err(Error::failed(what(), refusal(status, &body)));
                }
                let page: Page =
                    serde_json::from_slice(&body).map_err(|cause| Error::failed(what(), cause))?;
                let indices = page.items.iter().filter_map(|item| table.index_of(item.key.as_bytes()));
                indices.for_each(|index| keys.found(table, index));
                if page.cursor.is_none() || page.cursor == cursor {
                    break;
                }
                cursor = page.cursor;
            }
        }
        Ok(())
    }

    /// One call on a connection of its own: its status and body.
    async fn call(
        &self,
        node: usize,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<(u16, Vec<u8>)> {
        let failed =
            |cause: String| Error::failed(format!("{method} {}{path} failed", self.targets[node].url), cause);
        let request = self.requests.call(node, method, path, body);
        let mut answer = Vec::new();
        let exchange = async {
            let mut connection = Connection::open(&self.addresses[node]).await?;
            connection.exchange(&request, &mut |bytes| answer.extend_from_slice(bytes)).await
        };
        let status = match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) => answer.status,
            Ok(Err(fault)) => return Err(failed(fault.to_string())),
            Err(_elapsed) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        Ok((status, answer))
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(rename = "item")]
    _item: IgnoredAny,
}

async fn probe(target: &Target) -> Result<Vec<SocketAddr>> {
    let failed = |cause: String| Error::failed(format!("{} cannot be reached", target.url), cause);
    let addresses = target.resolve().await?;
    match timeout(CONNECT, Connection::open(&addresses)).await {
        Ok(Ok(_)) => Ok(addresses),
        Ok(Err(fault)) => Err(failed(fault.to_string())),
        Err(_elapsed) => Err(failed(format!("no answer within {} s", CONNECT.as_secs()))),
    }
}

/// A refusal in words: the status, and what the body says.
fn refusal(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let advice = match status {
        401 | 403 => " (see -token)",
        404 => " (is this a node's address?)",
        _ => "",
    };
    let said = serde_json::from_slice::<Refusal>(body).map_or_else(
        |_| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
        |refusal| refusal.error,
    );
    format!("HTTP {status}: {said}{advice}")
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_the_node_said_and_what_to_do() {
        assert_eq!(refusal(401, br#"{"error":"no token"}"#), "HTTP 401: no token (see -token)");
        assert_eq!(refusal(500, b"<html>"), "HTTP 500: <html>");
    }

    #[test]
    fn pages_may_have_escaped_keys_and_any_items() {
        let page: Page<'_> = serde_json::from_slice(
            br#"{"items":[{"key":"user-1000","item":{"a":[1]}},{"key":"a\"b","item":3}],"count":2}"#,
        )
        .unwrap();
        assert_eq!(page.items.iter().map(|item| &*item.key).collect::<Vec<_>>(), ["user-1000", "a\"b"]);
        assert_eq!(page.cursor, None);
    }
}
