//! A node as its users run it: the real program, on a free port, with a folder of its own.
#![allow(dead_code, unreachable_pub, reason = "a module that each test includes and uses a part of")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a node may take to start or to stop. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node; killed when dropped.
pub struct Node {
    child: Child,
    /// `http://127.0.0.1:port`
    pub url: String,
    folder: PathBuf,
    _scratch: Option<TempDir>,
    output: mpsc::Receiver<String>,
    agent: ureq::Agent,
}

impl Node {
    /// A node with an empty folder.
    pub fn start(arguments: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut node = Self::start_in(&scratch.path().join("data"), arguments);
        node._scratch = Some(scratch);
        node
    }

    /// A node over that folder.
    pub fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hedgehogdb"))
            .args(["--bind", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(arguments)
            .env_remove("HEDGEHOG_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        forward(stdout, sender.clone());
        forward(stderr, sender);
        let mut seen = Vec::new();
        let url = loop {
            match output.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let url = line.split_whitespace().find(|word| word.starts_with("http://")).map(clean);
                    seen.push(line);
                    if let Some(url) = url {
                        break url;
                    }
                }
                Err(_) => panic!("the node does not say where it serves; it said {seen:#?}"),
            }
        };
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let agent = ureq::Agent::new_with_config(config);
        Self { child, url, folder: folder.to_path_buf(), _scratch: None, output, agent }
    }

    /// The folder of its database.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request: the status, the headers, the body.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            [] => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        }
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = response.headers().clone();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        response.body_mut().as_reader().read_to_end(&mut body).unwrap();
        Answer { status, headers, body }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], &[])
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.request("PUT", path, &[], body.as_bytes())
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &[], body.as_bytes())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], &[])
    }

    /// Makes a table, which must work.
    pub fn create_table(&self, name: &str) {
        let answer = self.post("/api/v1/tables", &format!("{{\"name\":\"{name}\"}}"));
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits until it has: the status, and what it said last.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(rustix::process::Signal::TERM);
        (self.wait(), self.output.iter().collect())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the node does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a node answered.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }

    /// The message of an error, which must be one and have that status.
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["error"].as_str().unwrap().to_string()
    }
}

fn clean(word: &str) -> String {
    word.trim_end_matches(|c: char| !c.is_ascii_digit()).to_string()
}

fn forward(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                // The node must not block on a full pipe: read on.
                continue;
            }
        }
    });
}
