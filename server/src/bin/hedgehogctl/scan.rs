//! Scans and exports: pages fetched one after the other through their cursors, in bounded memory.

use std::io::{BufWriter, Write};

use comfy_table::{ColumnConstraint, Width};

use crate::cli::{Range, Window};
use crate::client::Client;
use crate::command::Session;
use crate::error::{Error, Result};
use crate::escape::printable;
use crate::output::{self, Output, PADDING, stdout_error};
use crate::page::{self, Item};
use crate::request::{Request, table_path};
use crate::units::thousands;

/// Items a page: enough to make the round trip cheap, few enough that the node is done with it before a reader
/// who pauses makes it wait.
const PAGE: u64 = 500;
/// Rows of one table for people: columns are as wide as they need to be up to here, and only ever grow.
const ROWS: usize = 200;

/// Fetches the items of a range page by page. Returns how many there were, and where the next one is if a limit
/// ended it.
fn pages(
    client: &Client,
    table: &str,
    range: &Range,
    window: &Window,
    sink: &mut dyn FnMut(Item) -> Result<()>,
) -> Result<(u64, Option<String>)> {
    let (mut seen, mut cursor) = (0, window.cursor.clone());
    loop {
        let left = window.limit.map_or(PAGE, |limit| (limit - seen).min(PAGE));
        let request = || {
            Request::get(table_path(table, "/items"))
                .query_if("prefix", range.prefix.as_deref())
                .query_if("start", range.start.as_deref())
                .query_if("end", range.end.as_deref())
                .query("limit", &left.to_string())
                .query_if("cursor", cursor.as_deref())
                .query_if("reverse", window.reverse.then_some("true"))
        };
        let (reader, call) = client.send_until_admitted(request)?.into_reader();
        let end = page::read(reader, &call, sink)?;
        seen += end.items;
        if end.cursor.is_none() || window.limit.is_some_and(|limit| seen >= limit) {
            return Ok((seen, end.cursor));
        }
        if end.cursor == cursor {
            return Err(Error::failed(call, "the node's cursor does not move"));
        }
        cursor = end.cursor;
    }
}

/// `scan`.
pub(crate) fn scan(session: &Session, table: &str, range: &Range, window: &Window) -> Result<()> {
    let client = session.client()?;
    if session.output.json {
        return document(&client, table, range, window);
    }
    let mut rows = Rows::new(session.output);
    let (items, cursor) = pages(&client, table, range, window, &mut |item| rows.add(&item))?;
    rows.flush()?;
    match cursor {
        Some(cursor) => {
            output::note(&format!("{} items; go on with --cursor {cursor}", thousands(items as f64)))
        }
        None => output::note(&format!("{} items", thousands(items as f64))),
    }
    Ok(())
}

/// `{"items":[...],"count":n}`, as the node would write it, but from any number of pages.
fn document(client: &Client, table: &str, range: &Range, window: &Window) -> Result<()> {
    let mut stdout = BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    // Nothing is written before the node has answered, so that its refusal leaves stdout empty.
    let mut before = "{\"items\":[";
    let (items, cursor) = pages(client, table, range, window, &mut |item| {
        write!(stdout, "{before}{}", output::to_json(&item)?).map_err(stdout_error)?;
        before = ",";
        Ok(())
    })?;
    if items == 0 {
        write!(stdout, "{before}").map_err(stdout_error)?;
    }
    write!(stdout, "],\"count\":{items}").map_err(stdout_error)?;
    if let Some(cursor) = cursor {
        write!(stdout, ",\"cursor\":{}", output::to_json(&cursor)?).map_err(stdout_error)?;
    }
    stdout.write_all(b"}\n").and_then(|()| stdout.flush()).map_err(stdout_error)
}

/// `export`.
pub(crate) fn export(session: &Session, table: &str, range: &Range) -> Result<()> {
    let client = session.client()?;
    let mut stdout = BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    let (items, _) = pages(&client, table, range, &Window::default(), &mut |item| {
        writeln!(stdout, "{}", output::to_json(&item)?).map_err(stdout_error)
    })?;
    stdout.flush().map_err(stdout_error)?;
    output::note(&format!("exported {} items of {}", thousands(items as f64), printable(table)));
    Ok(())
}

/// A table for people that can be of any length: it is printed in parts, the header once.
struct Rows {
    output: Output,
    waiting: Vec<[String; 2]>,
    widest_key: u16,
    headed: bool,
}

impl Rows {
    fn new(output: Output) -> Rows {
        Rows { output, waiting: Vec::with_capacity(ROWS), widest_key: 0, headed: false }
    }

    fn add(&mut self, item: &Item) -> Result<()> {
        self.waiting.push([printable(&item.key), printable(item.item.get())]);
        if self.waiting.len() < ROWS { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() && self.headed {
            return Ok(());
        }
        let mut grid = self.output.folding_grid(&["key", "item"]);
        grid.add_rows(self.waiting.drain(..));
        self.widest_key = self.widest_key.max(grid.column_max_content_widths()[0].saturating_add(PADDING));
        if let Some(column) = grid.column_mut(0) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(self.widest_key)));
        }
        let header_lines = if std::mem::replace(&mut self.headed, true) { 2 } else { 0 };
        for line in grid.lines().skip(header_lines) {
            self.output.line(line.trim_end())?;
        }
        Ok(())
    }
}
