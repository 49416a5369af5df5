//! What a simulation has been through, as numbers.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// Crash points by kind, and counts of everything else.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    points: BTreeMap<String, u64>,
    totals: BTreeMap<String, u64>,
}

impl Figures {
    /// The crash points: power losses and faults, each with a verified recovery behind it.
    pub fn crash_points(&self) -> u64 {
        self.points.values().sum()
    }

    /// The crash points of a kind; 0 where there is none.
    pub fn crash_points_of(&self, kind: &str) -> u64 {
        self.points.get(kind).copied().unwrap_or(0)
    }

    /// Adds a crash point.
    pub fn crash_point(&mut self, kind: &str) {
        *self.points.entry(kind.to_string()).or_default() += 1;
    }

    /// Adds to another count.
    pub fn count(&mut self, name: &str, by: u64) {
        *self.totals.entry(name.to_string()).or_default() += by;
    }

    /// A count; 0 where nothing was counted.
    pub fn total(&self, name: &str) -> u64 {
        self.totals.get(name).copied().unwrap_or(0)
    }

    /// Adds all of another simulation's.
    pub fn add(&mut self, other: &Figures) {
        for (kind, count) in &other.points {
            *self.points.entry(kind.clone()).or_default() += count;
        }
        other.totals.iter().for_each(|(name, &count)| self.count(name, count));
    }

    /// One line, for [`Figures::parse`].
    pub fn line(&self) -> String {
        let points = self.points.iter().map(|(kind, count)| format!("crash\t{kind}\t{count}"));
        let totals = self.totals.iter().map(|(name, count)| format!("total\t{name}\t{count}"));
        points.chain(totals).collect::<Vec<_>>().join("\t")
    }

    /// What [`Figures::line`] has written; `None` where it has not.
    pub fn parse(line: &str) -> Option<Figures> {
        let mut figures = Figures::default();
        for entry in line.split('\t').collect::<Vec<_>>().chunks(3) {
            let [what, name, count] = entry else { return None };
            let of = match *what {
                "crash" => &mut figures.points,
                "total" => &mut figures.totals,
                _ => return None,
            };
            of.insert((*name).to_string(), count.parse().ok()?);
        }
        Some(figures)
    }

    /// The figures as a table for people, with further rows at its end.
    pub fn table(&self, more: &[(&str, String)]) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["", "count"]);
        for (kind, count) in &self.points {
            table.add_row([format!("crash point: {kind}"), grouped(*count)]);
        }
        table.add_row(["crash points".to_string(), grouped(self.crash_points())]);
        for (name, count) in &self.totals {
            table.add_row([name.clone(), grouped(*count)]);
        }
        for (name, value) in more {
            table.add_row([(*name).to_string(), value.clone()]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
