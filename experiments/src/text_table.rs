//! Tables and sentences for terminals: at most 120 columns wide, and no lines but those under header and end.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

/// Columns of a line.
pub const WIDTH: u16 = 120;
const RULE: LineStyle = LineStyle::none().fill('─').junction('─');

/// A sentence on as many lines as it needs.
pub fn wrapped(sentence: &str) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for word in sentence.split(' ') {
        let length = word.chars().count();
        match used {
            0 => {}
            used if used + 1 + length > usize::from(WIDTH) => text.push('\n'),
            _ => text.push(' '),
        }
        used = if text.is_empty() || text.ends_with('\n') { length } else { used + 1 + length };
        text += word;
    }
    text + "\n"
}

/// A table with its first `left` columns aligned left and its numbers right.
pub fn plain(header: &[String], left: usize) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(RULE).bottom_border(RULE));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(header);
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
        column.set_padding((0, 1));
    }
    // Where it is too wide, labels break and numbers do not.
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}
