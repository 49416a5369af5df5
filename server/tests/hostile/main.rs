//! What no honest client sends, byte by byte, to the real program: each is refused with a status of its own kind or
//! loses its connection, never fails the server (5xx), and costs nobody else anything.
//!
//! Answers to what is no HTTP request come from the HTTP library and have no body; those to requests that can be read
//! are `{"error": "..."}`.
#![cfg(not(feature = "loom"))]

#[path = "../common/mod.rs"]
mod common;
mod framing;
mod mutation;
mod names;
mod order;
mod slow;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::Node;
use serde_json::Value;

const ITEM: &str = "/api/v1/tables/users/items/k";
const PATIENCE: Duration = Duration::from_secs(20);

/// A node with a table and one item in it.
fn node(arguments: &[&str]) -> Node {
    let node = Node::start(arguments);
    node.create_table("users");
    assert_eq!(node.put(ITEM, r#"{"a":1}"#).status, 200);
    node
}

fn connect(node: &Node) -> TcpStream {
    let stream = TcpStream::connect(node.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that comes until the server closes; a reset is an end as well.
fn read_to_end(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        let is_timeout = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_timeout, "neither answered nor closed; so far: {}", String::from_utf8_lossy(&read));
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Says all that, and nothing more: the answer. That the server may close before it has heard all is no failure.
fn say(node: &Node, bytes: &[u8]) -> String {
    let mut stream = connect(node);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    read_to_end(&mut stream)
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The message of an answer that is an error.
fn error(answer: &str) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    body["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_string()
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line}\r\nhost: a\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

fn put(headers: &str, body: &str) -> Vec<u8> {
    request(&format!("PUT {ITEM} HTTP/1.1"), headers, body)
}

/// It serves others as before, has kept the item, and has nothing to complain of.
fn is_well(node: Node) {
    assert_eq!(node.get(ITEM).json()["item"], serde_json::json!({ "a": 1 }));
    let (status, said) = node.stop();
    assert!(status.success(), "{status}");
    let complaints: Vec<_> =
        said.iter().filter(|line| line.contains("panicked") || line.contains("ERROR")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
