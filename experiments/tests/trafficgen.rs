//! The load generator as somebody uses it, against small nodes that this file plays: what it creates, sends, measures
//! and says when a node is slow, refuses, breaks its answers, or goes away.
#![cfg(not(feature = "loom"))]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How a played node behaves.
#[derive(Default)]
struct Behaviour {
    /// Every item request takes so long, one at a time.
    delay: Duration,
    /// Answers item requests with this status.
    status: Option<u16>,
    /// Sends answers in chunks.
    chunked: bool,
    /// Closes the connection after every so many answers.
    close_after: Option<u64>,
    /// Stops answering anything after so many puts.
    die_after: Option<u64>,
    /// Says that it stores and does not, every so many puts.
    lose_every: Option<u64>,
    /// Other nodes that it tells about.
    cluster: Vec<String>,
}

struct Node {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    behaviour: Behaviour,
    items: Mutex<BTreeMap<String, Value>>,
    /// Request lines and headers, as they came.
    heads: Mutex<Vec<String>>,
    puts: AtomicU64,
    answers: AtomicU64,
    dead: AtomicBool,
    turn: Mutex<()>,
}

impl Node {
    fn start(behaviour: Behaviour) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared { behaviour, ..Shared::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.dead.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Node { url, shared }
    }

    fn items(&self) -> BTreeMap<String, Value> {
        self.shared.items.lock().expect("items").clone()
    }

    fn head_with(&self, part: &str) -> String {
        let heads = self.shared.heads.lock().expect("heads");
        heads
            .iter()
            .find(|head| head.contains(part))
            .unwrap_or_else(|| panic!("no {part} in {heads:?}"))
            .clone()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut stream = stream;
        while let Some((head, body)) = read_request(&mut reader) {
            if self.dead.load(Ordering::SeqCst) {
                return;
            }
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let (status, answer) = self.answer(method, path, &body);
            self.heads.lock().expect("heads").push(head.clone());
            let count = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
            let close = self.behaviour.close_after.is_some_and(|every| count.is_multiple_of(every));
            let text = self.framed(status, &answer, close);
            if self.dead.load(Ordering::SeqCst) || stream.write_all(text.as_bytes()).is_err() || close {
                return;
            }
        }
    }

    fn framed(&self, status: u16, body: &str, close: bool) -> String {
        let connection = if close { "Connection: close\r\n" } else { "" };
        match self.behaviour.chunked {
            false => {
                format!("HTTP/1.1 {status} X\r\n{connection}Content-Length: {}\r\n\r\n{body}", body.len())
            }
            true => {
                let (a, b) = body.split_at(body.len() / 2);
                let chunk = |part: &str| match part.len() {
                    0 => String::new(),
                    length => format!("{length:x}\r\n{part}\r\n"),
                };
                format!(
                    "HTTP/1.1 {status} X\r\n{connection}Transfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                    chunk(a),
                    chunk(b)
                )
            }
        }
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let plain = path.split('?').next().unwrap_or("");
        if plain == "/api/v1/cluster/status" {
            let node = |id: usize, addr: &str| serde_json::json!({"id": format!("node-{id}"), "addr": addr, "status": 0});
            let others = self.behaviour.cluster.iter().enumerate().map(|(at, addr)| node(at + 2, addr));
            let nodes: Vec<_> = std::iter::once(node(1, "127.0.0.1:1")).chain(others).collect();
            return (200, serde_json::json!({"node_id": "node-1", "nodes": nodes}).to_string());
        }
        if method == "POST" {
            return (409, r#"{"error":"exists"}"#.to_string());
        }
        if method == "GET" && plain.ends_with("/items") {
            return (200, self.listed(plain));
        }
        let _one_at_a_time = self.turn.lock().expect("the turn");
        std::thread::sleep(self.behaviour.delay);
        match self.behaviour.status {
            Some(status) => (status, r#"{"error":"as told"}"#.to_string()),
            None => self.item(method, &plain.replace("/api/v1/tables/", "").replace("/items/", "/"), body),
        }
    }

    fn listed(&self, path: &str) -> String {
        let table = path.split('/').nth(4).unwrap_or("");
        let items = self.items.lock().expect("items");
        let of_table =
            items.iter().filter_map(|(key, item)| Some((key.strip_prefix(table)?.strip_prefix('/')?, item)));
        let items: Vec<_> =
            of_table.map(|(key, item)| serde_json::json!({"key": key, "item": item})).collect();
        serde_json::json!({"count": items.len(), "items": items}).to_string()
    }

    fn item(&self, method: &str, key: &str, body: &[u8]) -> (u16, String) {
        let mut items = self.items.lock().expect("items");
        let missing = || (404, r#"{"error":"no such key"}"#.to_string());
        match method {
            "PUT" => {
                let put = self.puts.fetch_add(1, Ordering::SeqCst) + 1;
                if self.behaviour.die_after.is_some_and(|limit| put > limit) {
                    self.dead.store(true, Ordering::SeqCst);
                }
                let Ok(document) = serde_json::from_slice(body) else {
                    return (400, r#"{"error":"bad JSON"}"#.to_string());
                };
                if !self.behaviour.lose_every.is_some_and(|every| put.is_multiple_of(every)) {
                    items.insert(key.to_string(), document);
                }
                (200, r#"{"message":"stored"}"#.to_string())
            }
            "DELETE" => {
                items.remove(key).map_or_else(missing, |_| (200, r#"{"message":"deleted"}"#.to_string()))
            }
            _ => items.get(key).map_or_else(missing, |item| {
                (200, serde_json::json!({"key": key.rsplit('/').next(), "item": item}).to_string())
            }),
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn trafficgen(folder: &Path, line: &str) -> Output {
    let arguments = line.split_whitespace();
    let program = env!("CARGO_BIN_EXE_trafficgen");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_remove("HEDGEHOG_TOKEN")
        .output()
        .expect("it runs")
}

/// Runs it with `-json` in a folder of its own; asserts the exit code and returns the result and what it said.
fn measured(code: i32, line: &str) -> (Value, String) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let output = trafficgen(folder.path(), &format!("-json {line}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    let result = std::fs::read_dir(folder.path().join("results")).expect("results").next().expect("one");
    for name in ["result.json", "result.csv"] {
        assert!(
            std::fs::metadata(result.as_ref().expect("its entry").path().join(name)).expect(name).len() > 100
        );
    }
    (serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else"), said)
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {value}"))
}

#[test]
fn steady_rates_offer_what_they_say_and_use_the_keys_that_are_there() {
    let node = Node::start(Behaviour::default());
    let user = serde_json::json!({"name": "Ann"});
    node.shared.items.lock().expect("items").insert("users/user-4711".to_string(), user);
    let line = format!("-url {} -inserts 100 -updates 40 -deletes 20 -reads 200 -duration 1s", node.url);
    let (result, _) = measured(0, &line);
    let step = &result["steps"][0];
    assert!((number(step, "offered_per_s") - 360.0).abs() < 4.0, "{step}");
    assert!(number(step, "achieved_per_s") > 0.9 * 360.0, "{step}");
    assert_eq!(step["operations"].as_array().map(Vec::len), Some(4));
    assert!(number(step, "cpu_us_per_request") > 0.0 && number(step, "p95_ms") > 0.0);
    assert_eq!(result["keys_before"], 1);
    assert_eq!(result["mode"], "steady");
    for name in ["commit", "cpu", "kernel", "time"] {
        assert!(result["environment"][name].is_string(), "{name}");
    }
    let items = node.items();
    assert!(items.contains_key("users/user-4712"), "inserts go on past what is there");
    assert!(!items.contains_key("users/user-1000"));
    assert!(items.keys().any(|key| key.starts_with("products/prod-1")), "{items:?}");
    assert!(node.head_with("PUT /api").contains("/items/"), "and no consistency is asked for");
    assert!(!node.head_with("PUT /api").contains("consistency"));
}

#[test]
fn a_write_stress_stops_at_the_rate_that_a_slow_node_cannot_keep() {
    let node = Node::start(Behaviour { delay: Duration::from_millis(5), ..Behaviour::default() });
    let line = "-write-stress -write-stress-p95-limit 300 -write-stress-initial 50 -write-stress-growth 3 \
                -write-stress-duration 1s";
    let (result, said) = measured(0, &format!("{line} -urls {}", node.url));
    let steps = result["steps"].as_array().expect("steps");
    let passed: Vec<_> = steps.iter().map(|step| step["passed"] == true).collect();
    assert!(passed[0] && !passed[passed.len() - 1] && passed.len() <= 3, "{result}");
    let last = &steps[steps.len() - 1];
    assert!(number(last, "offered_per_s") > 140.0 && number(last, "achieved_per_s") < 200.0, "{last}");
    assert!(number(last, "p95_ms") > 300.0, "the wait in the queue is latency: {last}");
    assert!(number(&result["limit"], "achieved_per_s") > 40.0);
    assert!(result["stopped"].as_str().expect("why").contains("failed:"), "{}", result["stopped"]);
    assert!(said.contains("step 1: offered 50/s"), "{said}");
    assert!(node.head_with("PUT /api").contains("?consistency=strong "));
}

#[test]
fn a_bisection_finds_the_limit_between_the_doublings() {
    let node = Node::start(Behaviour { delay: Duration::from_millis(4), ..Behaviour::default() });
    let line = "-write-stress -write-stress-bisect -write-stress-initial 100 -write-stress-duration 500ms";
    let (result, _) = measured(0, &format!("{line} -write-stress-p95-limit 150 -url {}", node.url));
    let limit = number(&result["limit"], "offered_per_s");
    assert!((100.0..=270.0).contains(&limit), "{result}");
    assert!(result["steps"].as_array().is_some_and(|steps| steps.len() >= 4), "{result}");
}

#[test]
fn a_closed_loop_keeps_every_connection_busy_and_puts_bear_the_suffix() {
    let node = Node::start(Behaviour::default());
    let line =
        "-closed -inserts-only -connections 4 -duration 500ms -consistency strong -path-suffix dry_run=true";
    let (result, _) =
        measured(0, &format!("{line} -value-bytes 300 -token geheim -header X-Team:red -url {}", node.url));
    let step = &result["steps"][0];
    assert!(number(step, "done") > 100.0 && number(step, "unsent") == 0.0, "{step}");
    assert!(number(step, "service_p99_ms") <= number(step, "max_ms"), "{step}");
    let head = node.head_with("PUT /api");
    assert!(head.contains("?consistency=strong&dry_run=true ") && head.contains("X-Team: red"), "{head}");
    assert!(head.contains("Authorization: Bearer geheim"), "{head}");
    assert!(!result.to_string().contains("geheim"), "no secret in the result");
    let (_, item) = node.items().pop_first().expect("an item");
    assert_eq!(item.to_string().len(), 300);
}

#[test]
fn chunked_answers_and_closed_connections_are_no_failures() {
    let node = Node::start(Behaviour { chunked: true, close_after: Some(7), ..Behaviour::default() });
    let (result, _) = measured(0, &format!("-closed -connections 4 -duration 500ms -url {}", node.url));
    let step = &result["steps"][0];
    assert!(number(step, "done") > 50.0 && number(step, "reconnects") > 5.0, "{step}");
}

#[test]
fn refusals_are_counted_as_shed_and_not_as_done() {
    let node = Node::start(Behaviour { status: Some(503), ..Behaviour::default() });
    let (result, said) = measured(
        1,
        &format!("-write-stress -write-stress-duration 300ms -write-stress-initial 200 -url {}", node.url),
    );
    let step = &result["steps"][0];
    assert_eq!((number(step, "failed"), number(step, "done")), (0.0, 0.0));
    assert!(number(step, "shed") > 50.0, "{step}");
    assert!(said.contains("no step passed") && said.contains("of what was offered"), "{said}");
}

#[test]
fn errors_fail_a_step_and_are_named() {
    let node = Node::start(Behaviour { status: Some(500), ..Behaviour::default() });
    let (result, said) = measured(1, &format!("-stress -stress-duration 300ms -url {}", node.url));
    assert!(said.contains("failed or timed out, more than 5.0 %"), "{said}");
    assert!(result["steps"][0]["first_failure"].as_str().expect("why").contains("HTTP 500"), "{result}");
    let (_, said) = measured(1, &format!("-closed -duration 100ms -connections 2 -url {}", node.url));
    assert!(said.contains("HTTP 500"), "{said}");
}

#[test]
fn time_outs_are_counted_with_the_time_that_was_waited() {
    let node = Node::start(Behaviour { delay: Duration::from_secs(2), ..Behaviour::default() });
    let (result, _) =
        measured(1, &format!("-inserts-only -inserts 20 -duration 300ms -timeout 200ms -url {}", node.url));
    let step = &result["steps"][0];
    assert!(number(step, "timeouts") >= 1.0 && number(step, "max_ms") >= 200.0, "{step}");
}

#[test]
fn a_node_that_dies_ends_the_run_with_its_reason_and_its_ledger_holds() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let ledger = folder.path().join("ledger");
    let node = Node::start(Behaviour { die_after: Some(300), ..Behaviour::default() });
    let (result, said) = measured(
        1,
        &format!(
            "-closed -consistency strong -connections 8 -duration 60s -timeout 1s -ledger {} -url {}",
            ledger.display(),
            node.url
        ),
    );
    assert!(said.contains("no node has answered for 5 s"), "{said}");
    assert!(number(&result["steps"][0], "failed") > 0.0);
    let reborn = Node::start(Behaviour::default());
    *reborn.shared.items.lock().expect("items") = node.items();
    let verify = format!("-verify {} -url {}", ledger.display(), reborn.url);
    let output = trafficgen(folder.path(), &verify);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 are missing"));
}

#[test]
fn a_node_that_loses_acknowledged_writes_is_found_out() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let ledger = folder.path().join("ledger");
    let node = Node::start(Behaviour { lose_every: Some(50), ..Behaviour::default() });
    let line = "-inserts 400 -updates 200 -deletes 20 -reads 0 -duration 1s -consistency strong";
    measured(0, &format!("{line} -ledger {} -url {}", ledger.display(), node.url));
    let output = trafficgen(folder.path(), &format!("-json -verify {} -url {}", ledger.display(), node.url));
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(number(&found, "missing") >= 3.0 && number(&found, "wrong") >= 1.0, "{found}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("acknowledged writes are lost"));
}

#[test]
fn one_node_tells_of_the_others_and_requests_take_them_in_turn() {
    let other = Node::start(Behaviour::default());
    let address = other.url.trim_start_matches("http://").to_string();
    let node = Node::start(Behaviour { cluster: vec![address], ..Behaviour::default() });
    let line = "-inserts-only -inserts 200 -duration 500ms";
    let (result, _) = measured(0, &format!("{line} -url {}", node.url));
    assert_eq!(result["nodes"].as_array().map(Vec::len), Some(2), "{result}");
    let puts = [&node, &other].map(|node| node.shared.puts.load(Ordering::SeqCst));
    assert!(puts[0].abs_diff(puts[1]) <= 1 && puts[0] > 40, "{puts:?}");
    let (result, _) = measured(0, &format!("{line} -write-stress-single-node -url {}", node.url));
    assert_eq!(result["nodes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn nodes_that_are_down_are_left_out_and_none_is_an_error() {
    let node = Node::start(Behaviour::default());
    let (result, said) =
        measured(0, &format!("-inserts-only -duration 300ms -urls {},http://127.0.0.1:1", node.url));
    assert!(said.contains("http://127.0.0.1:1 cannot be reached") && said.contains("without it"), "{said}");
    assert_eq!(result["nodes"].as_array().map(Vec::len), Some(1));
    let output = trafficgen(Path::new("."), "-url http://127.0.0.1:1 -duration 1s");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no node can be reached") && said.contains("refused"), "{said}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_says_what_to_write() {
    for (line, words) in [
        ("-url https://127.0.0.1:1", "TLS"),
        ("-inserts 0 -updates 0 -deletes 0 -reads 0", "nothing is to be sent"),
        ("-ledger x -duration 1s", "-consistency strong"),
        ("-no-such-flag", "no-such-flag"),
    ] {
        let output = trafficgen(Path::new("."), line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
    }
}
