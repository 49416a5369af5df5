//! `check`: the verifier of the trees, asked of a running node or run over a folder.

use std::path::Path;

use comfy_table::Color;
use serde::{Deserialize, Serialize};

use crate::command::Session;
use crate::error::{Code, Error, Result};
use crate::escape::printable;
use crate::request::Request;

/// What a check found, as a node says it.
#[derive(Debug, Deserialize, Serialize)]
struct Verdict {
    clean: bool,
    text: String,
}

/// `check` of the running node.
pub(crate) fn online(session: &Session) -> Result<()> {
    let client = session.client()?;
    let verdict = client.send(Request::get("/api/v1/check").patient())?.parse()?;
    report(session, client.base(), &verdict)
}

/// `check FOLDER`.
pub(crate) fn offline(session: &Session, folder: &Path) -> Result<()> {
    let name = folder.display().to_string();
    if !folder.is_dir() {
        return Err(Error::usage(format!("{name} is not a folder, expected a closed database's")));
    }
    report(session, &name, &folder_verdict(folder)?)
}

/// Checks a folder. Damage that keeps it from being opened at all is a finding too.
fn folder_verdict(folder: &Path) -> Result<Verdict> {
    use tree::Error::{Damaged, Format, Log};
    let name = folder.display();
    if !folder.join("catalog").exists() {
        return Err(Error::usage(format!("there is no database in {name}: it holds no file `catalog`")));
    }
    match tree::check::check(folder) {
        Ok(found) => Ok(Verdict { clean: found.is_clean(), text: found.to_string() }),
        Err(
            cause @ (Damaged { .. }
            | Format { .. }
            | Log(wal::Error::Corrupt { .. } | wal::Error::Missing { .. })),
        ) => Ok(Verdict { clean: false, text: cause.to_string() }),
        Err(cause) => Err(Error::failed(format!("cannot check {name}"), cause)),
    }
}

/// Checks what a restore has unpacked, for its last sentence.
///
/// # Errors
/// It is damaged, or cannot be checked.
pub(crate) fn unpacked(folder: &Path) -> Result<String> {
    let verdict = folder_verdict(folder)?;
    if verdict.clean { Ok(verdict.text) } else { Err(damaged(&folder.display().to_string(), &verdict)) }
}

fn report(session: &Session, place: &str, verdict: &Verdict) -> Result<()> {
    if session.output.json {
        session.output.document(verdict)?;
    } else {
        let colour = if verdict.clean { Color::Green } else { Color::Red };
        let text: Vec<String> = verdict.text.lines().map(printable).collect();
        session.output.coloured_line(&text.join("\n"), colour)?;
    }
    if verdict.clean { Ok(()) } else { Err(damaged(place, verdict)) }
}

fn damaged(place: &str, verdict: &Verdict) -> Error {
    let first = verdict.text.lines().next().map(printable).unwrap_or_default();
    Error::new(Code::Damaged, format!("{place} is damaged ({first}); restore it from a backup"))
}
