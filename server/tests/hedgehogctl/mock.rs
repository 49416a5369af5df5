//! A server that answers what a test tells it to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /path?query`
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// A server on a port of its own, for as long as the test runs.
pub(crate) struct Mock {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Mock {
    /// Answers each request with the bytes that `reply` makes of it and of its number, and closes the connection.
    pub(crate) fn start(reply: impl Fn(&Asked, usize) -> String + Send + 'static) -> Mock {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let number = seen.lock().unwrap().len();
                seen.lock().unwrap().push(request.clone());
                // A client that has enough may be gone.
                let _ = (&stream).write_all(reply(&request, number).as_bytes());
            }
        });
        Mock { url, asked }
    }

    /// Answers everything in the same way.
    pub(crate) fn answering(status: &'static str, headers: &'static str, body: &'static str) -> Mock {
        Mock::start(move |_, _| answer(status, headers, body))
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A whole answer. `headers` are lines of their own, each with its end.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_string()),
        }
    }
    let line = lines.first()?.trim_end_matches(" HTTP/1.1").to_string();
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok())?
    });
    let mut body = String::new();
    reader.take(length.unwrap_or(0)).read_to_string(&mut body).ok()?;
    Some(Asked { line, headers: lines.split_off(1), body })
}
