//! The cluster, as the asked node sees it.

use serde::Deserialize;

use crate::command::Session;
use crate::error::Result;
use crate::escape::printable;
use crate::output::Output;
use crate::request::Request;

#[derive(Deserialize)]
struct Node {
    id: String,
    addr: String,
    #[serde(default)]
    status: u8,
    #[serde(default)]
    last_seen: serde_json::Value,
}

/// `cluster-status`.
pub(crate) fn status(session: &Session) -> Result<()> {
    #[derive(Deserialize)]
    struct Status {
        node_id: String,
        replication_n: u64,
        read_quorum: u64,
        write_quorum: u64,
        total_nodes: u64,
        nodes: Vec<Node>,
    }
    let answer = session.client()?.send(Request::get("/api/v1/cluster/status"))?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    let status: Status = answer.parse()?;
    session.output.line(format!(
        "asked {}; nodes: {}; copies of an item: {}, read from {}, written to {}",
        printable(&status.node_id),
        status.total_nodes,
        status.replication_n,
        status.read_quorum,
        status.write_quorum
    ))?;
    show(session.output, &status.nodes)
}

/// `cluster-nodes`.
pub(crate) fn nodes(session: &Session) -> Result<()> {
    #[derive(Deserialize)]
    struct Nodes {
        nodes: Vec<Node>,
    }
    let answer = session.client()?.send(Request::get("/api/v1/cluster/nodes"))?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    show(session.output, &answer.parse::<Nodes>()?.nodes)
}

fn show(output: Output, nodes: &[Node]) -> Result<()> {
    let mut grid = output.grid(&["node", "address", "status", "last seen"], 4);
    for node in nodes {
        let status = match node.status {
            0 => "alive".to_string(),
            1 => "suspect".to_string(),
            2 => "dead".to_string(),
            other => format!("status {other}"),
        };
        let last_seen = match &node.last_seen {
            serde_json::Value::Null => "-".to_string(),
            serde_json::Value::String(text) => printable(text),
            other => other.to_string(),
        };
        grid.add_row([printable(&node.id), printable(&node.addr), status, last_seen]);
    }
    output.table(&grid)
}
