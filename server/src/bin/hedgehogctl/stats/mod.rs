//! `stats`: what the node is doing, once or once a second.

mod snapshot;
mod view;

use std::time::Duration;

use crate::client::Client;
use crate::command::Session;
use crate::error::Result;
use crate::request::Request;

/// How often a node takes a new snapshot.
const INTERVAL: Duration = Duration::from_secs(1);
/// To the upper left corner, and nothing below the cursor.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// `stats`.
pub(crate) fn run(session: &Session, watch: bool) -> Result<()> {
    let client = session.client()?;
    loop {
        let text = shown(session, &client)?;
        // One write a picture, so that a terminal does not flicker; a pipe gets one after the other.
        let clear = if watch && session.output.terminal && !session.output.json { CLEAR } else { "" };
        session.output.print(format!("{clear}{text}\n"))?;
        if !watch {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn shown(session: &Session, client: &Client) -> Result<String> {
    let answer = client.send(Request::get("/api/v1/stats"))?;
    if session.output.json {
        return Ok(answer.text()?.trim_end().to_string());
    }
    Ok(view::text(&answer.parse()?, session.output))
}
