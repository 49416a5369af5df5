//! What a command says: data to stdout, as a table for people or as JSON for programs; messages to stderr.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

use crate::error::{Error, Result};

const RULE: LineStyle = LineStyle::none().fill('─').junction('─');

/// Blanks behind a cell; the line between columns, which is blank, adds one.
pub(crate) const PADDING: u16 = 1;

/// Columns below which breaking cells makes them harder to read than letting the terminal do it.
const NARROWEST: u16 = 40;

/// How a command answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// A JSON document instead of text for people.
    pub(crate) json: bool,
    /// Whether stdout is a terminal that wants colours.
    pub(crate) colours: bool,
    /// Whether stdout is a terminal.
    pub(crate) terminal: bool,
}

impl Output {
    /// For this process's stdout. `NO_COLOR` is respected.
    pub(crate) fn new(json: bool) -> Output {
        let terminal = io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Output { json, colours: terminal && !refused, terminal }
    }

    /// Writes `text` to stdout as it is.
    ///
    /// # Errors
    /// [`Error::ReaderGone`] where nobody reads it any more, or a failure to write.
    pub(crate) fn print(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()).map_err(stdout_error)
    }

    /// Writes `text` and ends the line.
    pub(crate) fn line(&self, text: impl Into<String>) -> Result<()> {
        self.print(text.into() + "\n")
    }

    /// Writes the document on one line.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<()> {
        self.line(to_json(document)?)
    }

    /// Writes a line in a colour, where colours are wanted.
    pub(crate) fn coloured_line(&self, text: &str, colour: Color) -> Result<()> {
        let mut grid = Table::new();
        grid.load_style(TableStyle::new()).add_row([self.cell(text.to_string(), Some(colour))]);
        if let Some(column) = grid.column_mut(0) {
            column.set_padding((0, 0));
        }
        self.table(&grid)
    }

    /// Writes the node's document for programs, or a sentence for people.
    pub(crate) fn answer(&self, document: &str, sentence: impl FnOnce() -> String) -> Result<()> {
        if self.json { self.line(document.trim_end()) } else { self.line(sentence()) }
    }

    /// Writes a table.
    pub(crate) fn table(&self, table: &Table) -> Result<()> {
        self.line(table.trim_fmt())
    }

    /// An empty table whose first `left` columns are text and the others numbers; every row is one line.
    pub(crate) fn grid(&self, header: &[&str], left: usize) -> Table {
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(RULE));
        table.set_header(header);
        for column in table.column_iter_mut() {
            column.set_padding((0, PADDING));
        }
        for column in table.column_iter_mut().skip(left) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// As [`Output::grid`], for text of any length: on a terminal, long cells are broken into lines.
    pub(crate) fn folding_grid(&self, header: &[&str]) -> Table {
        let mut table = self.grid(header, header.len());
        // Some terminals do not know how wide they are, and say 0.
        if self.terminal && table.width().is_some_and(|width| width >= NARROWEST) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table
    }

    /// A cell in a colour, where colours are wanted.
    pub(crate) fn cell(&self, text: String, colour: Option<Color>) -> Cell {
        match colour.filter(|_| self.colours) {
            Some(colour) => Cell::new(text).fg(colour),
            None => Cell::new(text),
        }
    }
}

/// The document on one line.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn to_json(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|cause| Error::failed("cannot write the answer as JSON", cause))
}

/// Turns a failure to write to stdout into the program's error.
pub(crate) fn stdout_error(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::failed("cannot write to stdout", cause),
    }
}

/// A message for people, on stderr. Where that is closed there is nobody to tell.
pub(crate) fn note(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
