//! The program itself: how it starts, whom it lets in, and how it stops.
#![cfg(not(feature = "loom"))]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::Node;
use rustix::process::Signal;
use sha2::{Digest, Sha256};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hedgehogdb")).args(arguments).output().unwrap()
}

/// Starts what must not start: the error.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn tokens_file(folder: &std::path::Path) -> String {
    let token = |role: &str| {
        let digest: String =
            Sha256::digest(format!("{role}-secret")).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[token]]\nname = \"{role}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n")
    };
    let path = folder.join("tokens.toml");
    fs::write(&path, ["read", "write", "admin"].map(token).concat()).unwrap();
    path.to_str().unwrap().to_string()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_taken_port_is_told_before_the_data_is_touched() {
    let node = Node::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let error = refused(&["-bind", node.address(), "-data-dir", data.to_str().unwrap()]);
    assert!(error.contains(node.address()) && error.contains("another process"), "{error}");
    assert!(!data.exists());
}

#[test]
fn a_public_address_is_refused_without_protection() {
    let error = refused(&["-bind", "0.0.0.0:0"]);
    assert!(error.contains("--allow-public-without-protection"), "{error}");
}

#[test]
fn settings_are_printed_without_starting() {
    let output = run(&["--print-config", "--node-id", "node-7"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("node_id = \"node-7\"\n"), "{text}");
    assert!(String::from_utf8(run(&["--help"]).stdout).unwrap().contains("--request-timeout <TIME>"));
}

#[test]
fn each_token_opens_what_its_role_says() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = tokens_file(folder.path());
    let node = Node::start(&["--tokens", &tokens, "--log", "trace,h2=info"]);
    let ask = |method: &str, path: &str, token: Option<&str>, body: &[u8]| {
        let header = token.map(bearer);
        let headers: Vec<(&str, &str)> =
            header.iter().map(|value| ("authorization", value.as_str())).collect();
        node.request(method, path, &headers, body)
    };
    let create = |token| ask("POST", "/api/v1/tables", token, b"{\"name\":\"users\"}").status;
    let nobody = ask("GET", "/api/v1/tables", None, &[]);
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"hedgehogdb\"");
    assert!(nobody.error(401).contains("Authorization"));
    assert_eq!(create(Some("guess")), 401);
    assert_eq!(create(Some("read-secret")), 403);
    assert_eq!(create(Some("write-secret")), 201);
    assert_eq!(ask("GET", "/api/v1/tables", Some("read-secret"), &[]).status, 200);
    assert_eq!(ask("GET", "/api/v1/config", Some("write-secret"), &[]).status, 403);
    let config = ask("GET", "/api/v1/config", Some("admin-secret"), &[]);
    assert_eq!(config.json()["preset"], "option4");
    for open in ["/livez", "/readyz", "/api/v1/health"] {
        assert_eq!(ask("GET", open, None, &[]).status, 200, "{open}");
    }
    assert_eq!(ask("GET", "/api/v1/events?access_token=guess", None, &[]).status, 401);
    let (status, said) = node.stop();
    let log = said.join("\n");
    assert!(status.success() && log.contains("/api/v1/tables"), "{log}");
    assert!(!log.contains("-secret") && !log.contains("access_token") && !log.contains("guess"), "{log}");
}

#[test]
fn a_body_that_is_too_large_is_answered_however_much_of_it_comes() {
    let node = Node::start(&["--max-body", "1MiB"]);
    node.create_table("users");
    for length in [2 << 20, 30 << 20] {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        let head = format!(
            "PUT /api/v1/tables/users/items/k HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; length]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"error\""), "{answer}");
    }
}

#[test]
fn a_body_that_trickles_is_408_and_a_long_url_414() {
    let node = Node::start(&["--request-timeout", "300ms"]);
    node.create_table("users");
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream
        .write_all(b"PUT /api/v1/tables/users/items/k HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{\"a\"")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let long = format!("/api/v1/tables/users/items/{}", "k".repeat(9 << 10));
    assert!(node.get(&long).error(414).contains("URL"));
}

#[test]
fn sigterm_finishes_the_write_in_flight_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Node::start_in(&data, &[]);
    node.create_table("users");
    let mut stream = TcpStream::connect(node.address()).unwrap();
    let head = b"PUT /api/v1/tables/users/items/k?consistency=strong HTTP/1.1\r\nhost: a\r\n\
          content-length: 9\r\n\r\n{\"a\"";
    stream.write_all(head).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    node.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(b":123}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut node = node;
    assert!(node.wait().success());
    let again = Node::start_in(&data, &[]);
    assert_eq!(again.get("/api/v1/tables/users/items/k").json()["item"]["a"], 123);
    let (status, said) = again.stop();
    assert!(status.success() && said.iter().any(|line| line.starts_with("stopped: ")), "{said:?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut node = Node::start(&[]);
    // A request in flight, which would be waited for.
    let mut stream = TcpStream::connect(node.address()).unwrap();
    stream.write_all(b"POST /api/v1/tables HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    node.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    node.signal(Signal::INT);
    assert_eq!(node.wait().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(5));
}
