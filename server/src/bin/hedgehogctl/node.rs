//! The node itself: its configuration, whether it lives, whether it takes requests.

use crate::command::Session;
use crate::error::Result;
use crate::escape::printable;
use crate::pretty;
use crate::request::Request;

/// `config`.
pub(crate) fn config(session: &Session) -> Result<()> {
    let text = session.client()?.send(Request::get("/api/v1/config"))?.text()?;
    session.output.answer(&text, || pretty::indented(&text))
}

/// `health`.
pub(crate) fn health(session: &Session) -> Result<()> {
    status(session, "/api/v1/health")
}

/// `ready`.
pub(crate) fn ready(session: &Session) -> Result<()> {
    status(session, "/readyz")
}

fn status(session: &Session, path: &str) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Status {
        status: String,
    }
    let client = session.client()?;
    let answer = client.send(Request::get(path))?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    let Status { status } = answer.parse()?;
    session.output.line(format!("{}: {}", client.base(), printable(&status)))
}
