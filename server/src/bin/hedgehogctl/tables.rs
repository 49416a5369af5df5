//! Tables: create, list, delete, count.

use serde::Deserialize;

use crate::command::Session;
use crate::error::Result;
use crate::escape::printable;
use crate::request::{Payload, Request, table_path};
use crate::units::thousands;

const TABLES: &str = "/api/v1/tables";

/// The request that creates a table.
pub(crate) fn creation(name: &str) -> Request {
    let body = serde_json::json!({ "name": name }).to_string();
    Request::post(TABLES, Payload::Json(body.into_bytes()))
}

/// `create-table`.
pub(crate) fn create(session: &Session, name: &str) -> Result<()> {
    let answer = session.client()?.send(creation(name))?.text()?;
    session.output.answer(&answer, || format!("created table {}", printable(name)))
}

/// `delete-table`.
pub(crate) fn delete(session: &Session, name: &str) -> Result<()> {
    let answer = session.client()?.send(Request::delete(table_path(name, "")))?.text()?;
    session.output.answer(&answer, || format!("deleted table {}", printable(name)))
}

/// `count`.
pub(crate) fn count(session: &Session, table: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Count {
        count: u64,
    }
    let answer = session.client()?.send(Request::get(table_path(table, "/count")))?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    session.output.line(answer.parse::<Count>()?.count.to_string())
}

/// `list-tables`.
pub(crate) fn list(session: &Session) -> Result<()> {
    #[derive(Deserialize)]
    struct Tables {
        tables: Vec<Table>,
    }
    #[derive(Deserialize)]
    struct Table {
        name: String,
        #[serde(default)]
        created_at: serde_json::Value,
        #[serde(default)]
        item_count: u64,
    }
    let answer = session.client()?.send(Request::get(TABLES))?;
    if session.output.json {
        return session.output.line(answer.text()?.trim_end());
    }
    let mut grid = session.output.grid(&["table", "created", "items"], 2);
    for table in answer.parse::<Tables>()?.tables {
        let created = match &table.created_at {
            serde_json::Value::String(text) => printable(text),
            serde_json::Value::Null => "-".to_string(),
            other => other.to_string(),
        };
        grid.add_row([printable(&table.name), created, thousands(table.item_count as f64)]);
    }
    session.output.table(&grid)
}
