//! The result for people: at most 120 columns wide.

use comfy_table::Table;

use super::{PhaseReport, Report, RunReport};
use crate::text_table::{plain, wrapped};
use crate::units::{compact, latency, ratio, thousands};

/// All tables and sentences of a report.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for phase in phase_names(&report.runs) {
        text += &format!("\n{}{}\n", caption(report, phase), phase_table(report, phase));
    }
    for sentences in [summary(report), breakdown(report), floors(report), growth(report)] {
        text += &sentences;
    }
    let keys: u64 = report.runs.iter().map(|run| run.keys_verified).sum();
    let missing: u64 = report.runs.iter().map(|run| run.missing).sum();
    text += &wrapped(&format!(
        "\nRead-back after close, check and reopening: {} keys verified, {} acknowledged writes missing.",
        thousands(keys as f64),
        thousands(missing as f64)
    ));
    text += &wrapped(&report.environment.sentence());
    text
}

/// The phases in the order of their first appearance.
fn phase_names(runs: &[RunReport]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for phase in runs.iter().flat_map(|run| &run.phases) {
        if !names.contains(&phase.phase.as_str()) {
            names.push(&phase.phase);
        }
    }
    names
}

fn caption(report: &Report, phase: &str) -> String {
    let mut promises: Vec<&str> = report.runs.iter().map(|run| run.durability.as_str()).collect();
    promises.dedup();
    let promise = match promises[..] {
        [promise] => promise,
        _ => "durability differs, see the result's settings",
    };
    let all = match report.common()[..] {
        [] => String::new(),
        ref common => format!("; all with {}", common.join(", ")),
    };
    let mut keys: Vec<u64> = report.runs.iter().map(|run| run.keys).collect();
    keys.dedup();
    let loaded = match keys[..] {
        [keys] if keys > 0 => format!("; {} keys loaded before", thousands(keys as f64)),
        _ => String::new(),
    };
    wrapped(&format!("{phase}: {promise}{loaded}{all}; ratio to {}", report.short(&report.baseline)))
}

fn phase_table(report: &Report, phase: &str) -> Table {
    let rows: Vec<(&RunReport, &PhaseReport)> = report
        .runs
        .iter()
        .flat_map(|run| run.phases.iter().filter(|found| found.phase == phase).map(move |found| (run, found)))
        .collect();
    let show = Columns {
        keys: report.runs.iter().any(|run| run.keys != report.runs[0].keys),
        spread: report.runs.iter().any(|run| run.repetitions > 1),
        writes: rows.iter().any(|(_, phase)| phase.writes > 0.0),
        reads: rows.iter().any(|(_, phase)| phase.reads > 0.0),
    };
    let mut table = plain(&show.header(), 1);
    for (run, phase) in rows {
        table.add_row(show.row(report.short(&run.preset), run, phase));
    }
    table
}

/// Which columns a phase has something for.
struct Columns {
    keys: bool,
    spread: bool,
    writes: bool,
    reads: bool,
}

impl Columns {
    fn header(&self) -> Vec<String> {
        let mut header = vec!["preset".to_string(), "writers".to_string()];
        let mut add = |shown: bool, names: &[&str]| {
            header.extend(names.iter().filter(|_| shown).map(|name| name.to_string()));
        };
        add(self.keys, &["keys"]);
        add(self.writes, &["writes/s"]);
        add(self.writes && self.spread, &["min..max"]);
        add(self.reads, &["reads/s"]);
        add(true, &["p50", "p95", "p99"]);
        add(self.reads && self.writes, &["read p95"]);
        add(true, &["ratio"]);
        add(self.writes, &["fsyncs/w", "log B/w"]);
        header
    }

    fn row(&self, name: String, run: &RunReport, phase: &PhaseReport) -> Vec<String> {
        let mut row = vec![name, run.writers.to_string()];
        let mut add = |shown: bool, values: &[String]| {
            row.extend(values.iter().filter(|_| shown).cloned());
        };
        add(self.keys, &[compact(run.keys as f64)]);
        add(self.writes, &[thousands(phase.writes_per_s)]);
        let spread = format!("{}..{}", compact(phase.writes_per_s_min), compact(phase.writes_per_s_max));
        add(self.writes && self.spread, &[spread]);
        add(self.reads, &[compact(phase.reads_per_s)]);
        add(true, &[phase.p50_us, phase.p95_us, phase.p99_us].map(latency));
        add(self.reads && self.writes, &[latency(phase.read_p95_us)]);
        add(true, &[phase.ratio_to_baseline.map_or_else(|| "-".to_string(), ratio)]);
        add(self.writes, &[format!("{:.3}", phase.fsyncs_per_write), thousands(phase.log_bytes_per_write)]);
        row
    }
}

/// At the largest number of writers: the last variant over each of the others.
fn summary(report: &Report) -> String {
    let writers = report.runs.iter().map(|run| run.writers).max().unwrap_or(0);
    let runs: Vec<_> =
        report.runs.iter().filter(|run| run.writers == writers && report.growth.is_none()).collect();
    let (Some((last, others)), None) = (runs.split_last(), &report.breakdown) else { return String::new() };
    let (Some(best), false) = (last.headline(), others.is_empty()) else { return String::new() };
    let factors: Vec<String> = others
        .iter()
        .filter_map(|other| Some((other, crate::compare::ratio(best, other.headline()?)?)))
        .map(|(other, factor)| format!("{} {}", ratio(factor), report.short(&other.preset)))
        .collect();
    let noun = if writers == 1 { "writer" } else { "writers" };
    wrapped(&format!(
        "\nWith {writers} {noun}, {}: {} is {}.",
        best.phase,
        report.short(&last.preset),
        factors.join(", ")
    ))
}

fn breakdown(report: &Report) -> String {
    let Some(breakdown) = &report.breakdown else { return String::new() };
    let header = ["step", "what it changes", "writers", "writes/s", "factor", "so far"].map(str::to_string);
    let mut table = plain(&header, 2);
    for step in &breakdown.steps {
        table.add_row([
            step.step.clone(),
            step.group.to_string(),
            step.writers.to_string(),
            thousands(step.writes_per_s),
            ratio(step.factor),
            ratio(step.so_far),
        ]);
    }
    let mut text = format!("\nfrom baseline to option4, one setting at a time\n{table}\n");
    for groups in breakdown.groups.chunk_by(|before, after| before.writers == after.writers) {
        let parts: Vec<_> =
            groups.iter().map(|group| format!("{} {}", group.group, ratio(group.factor))).collect();
        text += &wrapped(&format!("\nBy kind, with {} writers: {}.", groups[0].writers, parts.join(", ")));
    }
    text
}

fn floors(report: &Report) -> String {
    let Some(floors) = &report.floors else { return String::new() };
    let header =
        ["floor", "threads", "floor/s", "compared with", "tree/s", "tree over floor"].map(str::to_string);
    let mut table = plain(&header, 1);
    for floor in floors {
        table.add_row([
            floor.what.clone(),
            floor.threads.to_string(),
            thousands(floor.floor_per_s),
            report.short(&floor.preset),
            thousands(floor.tree_per_s),
            ratio(floor.ratio),
        ]);
    }
    format!("\nfloors: what the machine gives without a tree\n{table}\n")
}

fn growth(report: &Report) -> String {
    let Some(growth) = &report.growth else { return String::new() };
    let mut text = "\n".to_string();
    for line in growth {
        text += &wrapped(&format!(
            "{}, {} writers, {}: p95 at {} keys is {} that at {} keys.",
            report.short(&line.preset),
            line.writers,
            line.phase,
            thousands(line.to_keys as f64),
            ratio(line.p95_ratio),
            thousands(line.from_keys as f64)
        ));
    }
    text
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn tables_fit_in_120_columns_with_every_column_shown() {
        let mut report = sample();
        for run in &mut report.runs {
            run.repetitions = 3;
            run.keys = 2_000_000 + run.writers as u64;
            run.preset += if run.writers == 1 { "+engine=mutex+no-sync" } else { "+engine=coupled+no-sync" };
            for phase in &mut run.phases {
                phase.reads = 1.0;
                phase.reads_per_s = 1_234_567.0;
            }
        }
        let text = text(&report);
        assert!(text.contains("option4+engine="), "a label is not broken into letters:\n{text}");
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= usize::from(crate::text_table::WIDTH), "{longest}\n{text}");
    }

    #[test]
    fn phases_stand_apart_and_the_last_sentence_compares() {
        let text = text(&sample());
        assert!(
            text.contains("inserts: fdatasync before every acknowledgement; ratio to baseline"),
            "{text}"
        );
        assert!(text.contains("mixed: "), "{text}");
        assert!(text.contains("With 64 writers, inserts: option4 is 167x baseline."), "{text}");
        assert!(text.contains("0 acknowledged writes missing"), "{text}");
    }
}
